"""Boolean columns that say of a row what the row alone cannot: that its key occurs again, or nowhere else."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dataward.sql import identifier

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["Duplicate", "Flag", "Orphan", "with_flags"]


@dataclass(frozen=True)
class Flag:
    """A column to be joined to a frame; equal flags are joined once."""

    columns: tuple[str, ...]

    match: ClassVar[str] = "<=>"  # the comparison of keys

    @property
    def name(self) -> str:
        return f"__{type(self).__name__.lower()}_{zlib.crc32(repr(self).encode()):08x}"

    def keys(self, frame: DataFrame, references: Mapping[str, DataFrame]) -> DataFrame:
        """The distinct keys for which the flag is raised, in columns named :meth:`part` 0, 1, ..."""
        raise NotImplementedError

    def part(self, number: int) -> str:
        return f"{self.name}_{number}"

    def on(self) -> str:
        """SQL that a row of the frame and a key meet."""
        return " and ".join(
            f"{identifier(name)} {self.match} {self.part(number)}" for number, name in enumerate(self.columns)
        )

    def value(self, hit: str) -> str:
        """SQL of the flag, from the column that is true where a key was met and null elsewhere."""
        return f"coalesce({hit}, false)"


@dataclass(frozen=True)
class Duplicate(Flag):
    """The key occurs more than once among the rows that meet ``where`` (SQL)."""

    where: str

    def keys(self, frame: DataFrame, references: Mapping[str, DataFrame]) -> DataFrame:
        from pyspark.sql import functions as F

        parts = [F.col(identifier(name)).alias(self.part(number)) for number, name in enumerate(self.columns)]
        return frame.where(self.where).groupBy(*parts).count().where("count > 1").drop("count")

    def on(self) -> str:
        return f"{super().on()} and {self.where}"


@dataclass(frozen=True)
class Orphan(Flag):
    """No row of a reference has the key."""

    alias: str
    named: tuple[str, ...]  # the reference's columns

    match: ClassVar[str] = "="  # a null matches nothing

    def keys(self, frame: DataFrame, references: Mapping[str, DataFrame]) -> DataFrame:
        from pyspark.sql import functions as F

        parts = [F.col(identifier(name)).alias(self.part(number)) for number, name in enumerate(self.named)]
        return references[self.alias].select(*parts).distinct()

    def value(self, hit: str) -> str:
        return f"{hit} is null"


def with_flags(frame: DataFrame, flags: Iterable[Flag], references: Mapping[str, DataFrame]) -> DataFrame:
    """The frame with one boolean column per flag."""
    from pyspark.sql import functions as F

    for flag in dict.fromkeys(flags):
        hit = f"{flag.name}_hit"
        keys = flag.keys(frame, references).withColumn(hit, F.lit(True))
        parts = [flag.part(number) for number in range(len(flag.columns))]
        frame = frame.join(keys, F.expr(flag.on()), "left").withColumn(flag.name, F.expr(flag.value(hit)))
        frame = frame.drop(hit, *parts)
    return frame
