"""What a protection keeps of a column's use, and what its frequencies give away."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.sql import column, identifier

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["Measured", "Parity", "parity", "recoverable"]

ERROR = 0.02  # relative standard deviation of the distinct counts (HyperLogLog++)


@dataclass(frozen=True)
class Measured:
    """A column: nulls, distinct values (within 2 percent or so), least and greatest length of its text, and its commonest form
    as a hash (letters as one, digits as another; the form itself could tell a value)."""

    nulls: int
    distinct: int
    shortest: int | None
    longest: int | None
    form: int | None


@dataclass(frozen=True)
class Parity:
    """A protected column before and after; ``same`` names what stayed."""

    column: str
    before: Measured
    after: Measured

    @property
    def same(self) -> list[str]:
        near = abs(self.before.distinct - self.after.distinct) <= max(1, 4 * ERROR * self.before.distinct)
        kept = {
            "nulls": self.before.nulls == self.after.nulls,
            "distinct": near,
            "lengths": (self.before.shortest, self.before.longest) == (self.after.shortest, self.after.longest),
            "form": self.before.form == self.after.form,
        }
        return [name for name, stayed in kept.items() if stayed]


def parity(before: DataFrame, after: DataFrame, columns: Iterable[str]) -> list[Parity]:
    """Compare columns that both frames have; one pass over each."""
    kinds = dict(before.dtypes)
    nested = ("array", "map", "struct")
    named = [name for name in columns if name in kinds and name in after.columns and not kinds[name].startswith(nested)]
    if not named:
        return []
    both = [_measured(frame, named) for frame in (before, after)]
    return [Parity(name, was, is_) for name, was, is_ in zip(named, *both, strict=True)]


def _measured(frame: DataFrame, names: list[str]) -> list[Measured]:
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
    """By column, the share of rows that counting gives away under a deterministic protection; one pass for all.

    Frequency analysis (Naveed, Kamara, Wright: *Inference Attacks on Property-Preserving Encrypted Databases*, CCS 2015), by
    an attacker who knows the true frequencies: values are matched to tokens by how often they occur. Of m values that
    occur equally often, c times each, a guess is right for one in expectation, which is c rows. So it is the sum of the
    different c, over all rows. Null counts for nothing.
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
