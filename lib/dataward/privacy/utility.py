"""Measure the utility that a protected column keeps, and the share of rows that frequency analysis recovers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.spark.sql import column, identifier

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["Measured", "Parity", "parity", "recoverable"]

ERROR = 0.02  # relative standard deviation of the distinct counts (HyperLogLog++)


@dataclass(frozen=True)
class Measured:
    """Statistics of one column.

    Attributes:
        nulls: number of nulls.
        distinct: approximate number of distinct values (standard error 2 %).
        shortest: length of the shortest text in characters; None: all values are null.
        longest: length of the longest text.
        form: hash of the most frequent form of the text, in which every letter is "a" and every digit "9"; the form itself could
            reveal a value.
    """

    nulls: int
    distinct: int
    shortest: int | None
    longest: int | None
    form: int | None


@dataclass(frozen=True)
class Parity:
    """Statistics of a column before and after protection."""

    column: str
    before: Measured
    after: Measured

    @property
    def same(self) -> list[str]:
        """Names of the statistics that protection kept; ``distinct`` within four standard errors."""
        same_distinct = abs(self.before.distinct - self.after.distinct) <= max(1, 4 * ERROR * self.before.distinct)
        comparisons = {
            "nulls": self.before.nulls == self.after.nulls,
            "distinct": same_distinct,
            "lengths": (self.before.shortest, self.before.longest) == (self.after.shortest, self.after.longest),
            "form": self.before.form == self.after.form,
        }
        return [name for name, equal in comparisons.items() if equal]


def parity(before: DataFrame, after: DataFrame, columns: Iterable[str]) -> list[Parity]:
    """Compare the columns that both frames have and that are not nested; one pass over each frame."""
    kinds = dict(before.dtypes)
    nested = ("array", "map", "struct")
    named = [name for name in columns if name in kinds and name in after.columns and not kinds[name].startswith(nested)]
    if not named:
        return []
    both = [_measured(frame, named) for frame in (before, after)]
    return [Parity(name, old, new) for name, old, new in zip(named, *both, strict=True)]


def _measured(frame: DataFrame, names: list[str]) -> list[Measured]:
    """Measure columns in one pass."""
    from pyspark.sql import functions as F

    wanted: list[Any] = []
    for name in names:
        text = column(name).cast("string")
        form = F.xxhash64(F.regexp_replace(F.regexp_replace(text, r"\p{L}", "a"), r"\p{N}", "9"))
        wanted += [
            F.count(F.when(text.isNull(), 1)), F.approx_count_distinct(text, ERROR), F.min(F.length(text)), F.max(F.length(text)),
            F.mode(F.when(text.isNotNull(), form)),
        ]  # fmt: skip
    row = frame.agg(*(column.alias(f"c{n}") for n, column in enumerate(wanted))).first() or ()
    return [Measured(*row[5 * n : 5 * n + 5]) for n in range(len(names))]


def recoverable(frame: DataFrame, columns: list[str]) -> dict[str, float]:
    """Estimate by column the share of rows that frequency analysis recovers under deterministic protection; one pass for all.

    The attacker knows the true frequencies and matches values to tokens by them (Naveed, Kamara, Wright: *Inference Attacks on
    Property-Preserving Encrypted Databases*, CCS 2015). Of m values that occur c times each, a guess is right for one in
    expectation, that is for c rows. The share is therefore the sum of the distinct c, divided by the number of rows without null.

    Returns:
        Share of the rows without null by column, 0 to 1; a column that is all null is left out.
    """
    from pyspark.sql import functions as F

    if not columns:
        return {}
    values = [
        F.when(column(name).isNotNull(), F.struct(F.lit(n).alias("n"), F.xxhash64(identifier(name)).alias("v")))
        for n, name in enumerate(columns)
    ]
    each = frame.select(F.explode(F.array(*values)).alias("x")).where("x is not null")
    counts = each.groupBy("x.n", "x.v").count()
    rows = counts.groupBy("n").agg((F.sum_distinct("count") / F.sum("count")).alias("share")).collect()
    return {columns[row.n]: float(row.share) for row in rows}
