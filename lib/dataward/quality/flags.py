"""Boolean columns with facts about a row that depend on other rows: duplicate keys, missing references, outliers."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dataward.errors import RunError
from dataward.quality.duplicates.matching import Clusters, Matching, clusters
from dataward.quality.internal import INTERNAL, ROW, row_id
from dataward.quality.spread import Fences, Spreads, outlying
from dataward.spark.compare import paired_columns
from dataward.spark.sql import column, identifier

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["Alike", "Duplicate", "Flag", "KeyFlag", "Orphan", "Outlying", "with_flags"]


@dataclass(frozen=True)
class Flag:
    """A boolean column to be added to a frame; equal flags are added once."""

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"{INTERNAL}{type(self).__name__.lower()}_{zlib.crc32(repr(self).encode()):08x}"

    def onto(self, frame: DataFrame, references: Mapping[str, DataFrame]) -> DataFrame:
        """Add the column to a frame."""
        raise NotImplementedError

    def fit(self, frame: DataFrame, references: Mapping[str, DataFrame]) -> None:
        """Check that the types of a frame and of references are comparable.

        Raises:
            Incomparable: they are not.
        """


@dataclass(frozen=True)
class KeyFlag(Flag):
    """A flag that depends on a row's key."""

    columns: tuple[str, ...]

    match: ClassVar[str] = "<=>"  # the comparison of keys

    def keys(self, frame: DataFrame, references: Mapping[str, DataFrame]) -> DataFrame:
        """Return the keys that set the flag, in columns named :meth:`part` 0, 1, ..., of the types of :meth:`mine`."""
        raise NotImplementedError

    def part(self, number: int) -> str:
        """Return the name of a column of :meth:`keys`."""
        return f"{self.name}_{number}"

    def mine(self, frame: DataFrame, references: Mapping[str, DataFrame]) -> list[str]:
        """Return SQL of each part of a row's own key."""
        return [identifier(name) for name in self.columns]

    def among(self) -> str | None:
        """Return SQL of the condition for rows that may have the flag; None for all rows."""
        return None

    def value(self, hit: str) -> str:
        """Return SQL of the flag from a column that is true where a key was found and null elsewhere."""
        return f"coalesce({hit}, false)"

    def onto(self, frame: DataFrame, references: Mapping[str, DataFrame]) -> DataFrame:
        """Add the column to a frame."""
        from pyspark.sql import functions as F

        hit, mine = f"{self.name}_hit", self.mine(frame, references)
        parts = [self.part(number) for number in range(len(mine))]
        # Keys are distinct and of the same type, so that the join cannot multiply rows.
        keys = self.keys(frame, references).dropDuplicates(parts).withColumn(hit, F.lit(True))
        kinds = [kind for _, kind in frame.selectExpr(*(f"{sql} as k{n}" for n, sql in enumerate(mine))).dtypes]
        if kinds != [kind for name, kind in keys.dtypes if name != hit]:
            raise RunError(f"the keys of {type(self).__name__} on {', '.join(self.columns)} are of two types: {kinds}")
        on = [f"{sql} {self.match} {part}" for sql, part in zip(mine, parts, strict=True)]
        meets = " and ".join([*on, *([among] if (among := self.among()) else [])])
        frame = frame.join(keys, F.expr(meets), "left").withColumn(self.name, F.expr(self.value(hit)))
        return frame.drop(hit, *parts)


@dataclass(frozen=True)
class Duplicate(KeyFlag):
    """The key occurs more than once among the rows that meet ``where`` (SQL)."""

    where: str

    def keys(self, frame: DataFrame, references: Mapping[str, DataFrame]) -> DataFrame:
        """Return the keys that set the flag."""
        parts = [column(name).alias(self.part(number)) for number, name in enumerate(self.columns)]
        return frame.where(self.where).groupBy(*parts).count().where("count > 1").drop("count")

    def among(self) -> str:
        """Return SQL of the condition for rows that may have the flag."""
        return self.where


@dataclass(frozen=True)
class Orphan(KeyFlag):
    """The row's key is missing in a reference."""

    alias: str
    named: tuple[str, ...]  # the reference's columns

    match: ClassVar[str] = "="  # null matches no key

    def keys(self, frame: DataFrame, references: Mapping[str, DataFrame]) -> DataFrame:
        """Return the keys that set the flag."""
        from pyspark.sql import functions as F

        theirs = (there for _, there in self._paired(frame, references))
        return references[self.alias].select(*(F.expr(sql).alias(self.part(n)) for n, sql in enumerate(theirs)))

    def mine(self, frame: DataFrame, references: Mapping[str, DataFrame]) -> list[str]:
        """Return SQL of each part of a row's own key."""
        return [here for here, _ in self._paired(frame, references)]

    def fit(self, frame: DataFrame, references: Mapping[str, DataFrame]) -> None:
        """Check that the types of the keys are comparable."""
        self._paired(frame, references)

    def _paired(self, frame: DataFrame, references: Mapping[str, DataFrame]) -> list[tuple[str, str]]:
        return paired_columns(frame, self.columns, references[self.alias], self.named)

    def value(self, hit: str) -> str:
        """Return SQL of the flag."""
        return f"{hit} is null"


@dataclass(frozen=True)
class Outlying(Flag):
    """The row's number is outside of the fences; false for null."""

    fences: Fences

    def onto(self, frame: DataFrame, references: Mapping[str, DataFrame]) -> DataFrame:
        """Add the column to a frame."""
        return self.within(Spreads.measured(frame, [self.fences], ()), frame)

    def within(self, spreads: Spreads, frame: DataFrame) -> DataFrame:
        """Add the column, from measured fences."""
        from pyspark.sql import functions as F

        number, (low, high) = spreads.numbers[self.fences], (f"{self.name}_low", f"{self.name}_high")
        frame = spreads.beside(frame, self.fences.per, {low: f"low{number}", high: f"high{number}"})
        beyond = F.expr(outlying(self.fences.column, low, high))
        return frame.withColumn(self.name, beyond).drop(low, high)


@dataclass(frozen=True)
class Alike(Flag):
    """Another row is similar."""

    matching: Matching

    def onto(self, frame: DataFrame, references: Mapping[str, DataFrame]) -> DataFrame:
        """Add the column to a frame."""
        return self.within(clusters(frame, self.matching), frame)

    def within(self, found: Clusters, frame: DataFrame) -> DataFrame:
        """Add the column, from computed clusters."""
        from pyspark.sql import functions as F

        members = found.members.select(F.col("id").alias(ROW), F.lit(True).alias(self.name))
        marked = frame.withColumn(ROW, row_id(frame)).join(members, ROW, "left")
        return marked.withColumn(self.name, F.expr(f"coalesce({self.name}, false)")).drop(ROW)


def with_flags(frame: DataFrame, flags: Iterable[Flag], references: Mapping[str, DataFrame]) -> DataFrame:
    """Add one boolean column per flag; columns that the frame has already stay."""
    for flag in dict.fromkeys(flags):
        if flag.name not in frame.columns:
            frame = flag.onto(frame, references)
    return frame
