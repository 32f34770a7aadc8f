"""Numbers of distinct keys: combinations of columns that are counted by a shuffle."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dataward.quality.metrics.definition import Definition
from dataward.quality.metrics.metric import Metric
from dataward.spark.sql import identifier

__all__ = ["Counts", "DistinctCount", "Entropy", "Grouping", "OfKeys", "UniqueValueRatio", "Uniqueness"]


@dataclass(frozen=True)
class Grouping:
    """Columns whose combinations are counted among the rows that meet ``where``; combinations of nulls only are left out."""

    columns: tuple[str, ...]
    where: str | None

    @classmethod
    def of(cls, metric: Metric) -> Grouping:
        """Return the grouping that a metric needs."""
        return cls(tuple(sorted(metric.columns)), metric.where)

    def among(self) -> str:
        """Return SQL of the condition under which a row is counted."""
        any_value = " or ".join(f"{identifier(column)} is not null" for column in self.columns)
        return f"coalesce({self.where}, false) and ({any_value})" if self.where else f"({any_value})"


@dataclass(frozen=True)
class Counts:
    """Counts of a grouping.

    Attributes:
        rows: counted rows.
        keys: distinct combinations.
        single: combinations that occur once.
        largest: the largest count of a combination.
        weight: sum of c * ln(c) over the counts c.
    """

    rows: int
    keys: int
    single: int
    largest: int
    weight: float

    @classmethod
    def total(cls, parts: Iterable[tuple[Any, ...]]) -> Counts:
        """Add the counts of parts that have no combination in common."""
        columns = list(zip(*parts, strict=True)) or [(0,)] * 5
        rows, keys, single, largest, weight = columns
        return cls(sum(rows), sum(keys), sum(single), max(largest), math.fsum(weight))

    def moved(self, before: Counts, now: Counts) -> Counts:
        """Return the counts after a part changed from ``before`` to ``now``; ``largest`` is an upper bound."""
        pairs = zip(self.sums, before.sums, now.sums, strict=True)
        rows, keys, single, weight = (whole - gone + come for whole, gone, come in pairs)
        return Counts(int(rows), int(keys), int(single), max(self.largest, now.largest), weight)

    @property
    def sums(self) -> tuple[float, ...]:
        """The additive counts: rows, keys, single, weight."""
        return self.rows, self.keys, self.single, self.weight

    def with_collisions(self, keys: int, single: int) -> Counts:
        """Return the counts if collisions of codes hid further combinations.

        One collision hides two combinations of half of the largest count, and so at most ln(2) of 2 * largest rows of ``weight``.
        """
        hidden = keys * 2 * self.largest * math.log(2)
        return Counts(
            self.rows, self.keys + keys, min(self.single + single, self.rows), self.largest, self.weight - hidden
        )


class OfKeys(Definition):
    """A kind whose value is computed from the counts of keys."""

    def of_counts(self, counts: Counts) -> float | None:
        """Return the number from the counts; None where there are no rows."""
        raise NotImplementedError

    def analyzer(self, deequ: Any, metric: Metric, columns: tuple[str, ...], number: int) -> Any:
        """Return Deequ's analyzer, which takes several columns and knows no condition."""
        return getattr(deequ, self.deequ)(list(columns))


class DistinctCount(OfKeys):
    """Number of distinct keys, without keys of nulls only."""

    deequ = "CountDistinct"

    def of_counts(self, counts: Counts) -> float | None:
        """Return the number of keys, 0 where there are no rows."""
        return float(counts.keys)


class Uniqueness(OfKeys):
    """Share of rows whose key occurs once, among rows whose key has a value."""

    deequ = "Uniqueness"

    def of_counts(self, counts: Counts) -> float | None:
        """Divide by the rows."""
        return counts.single / counts.rows if counts.rows else None


class UniqueValueRatio(OfKeys):
    """Keys that occur once / distinct keys."""

    deequ = "UniqueValueRatio"

    def of_counts(self, counts: Counts) -> float | None:
        """Divide by the keys."""
        return counts.single / counts.keys if counts.rows else None


class Entropy(OfKeys):
    """Entropy by the natural logarithm, nulls left out: H = -sum(c/n * ln(c/n)) = ln(n) - sum(c * ln(c)) / n."""

    deequ = "Entropy"

    def of_counts(self, counts: Counts) -> float | None:
        """Compute the entropy; rounding never gives a negative one."""
        return max(math.log(counts.rows) - counts.weight / counts.rows, 0.0) if counts.rows else None

    def analyzer(self, deequ: Any, metric: Metric, columns: tuple[str, ...], number: int) -> Any:
        """Return Deequ's Entropy, which takes one column."""
        return deequ.Entropy(columns[0])
