"""Sets of key columns whose combinations are counted: the code of a row, and metrics from the counts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dataward.quality.metrics import GROUPED, Metric
from dataward.spark.sql import identifier

__all__ = ["Counts", "Grouping", "counted_code", "groupings", "own_code"]

# Types of at most 64 bits, with SQL that returns these bits.
CODES = {
    "byte": "cast({} as bigint)",
    "short": "cast({} as bigint)",
    "integer": "cast({} as bigint)",
    "long": "{}",
    "date": "cast(unix_date({}) as bigint)",
    "timestamp": "unix_micros({})",
    "boolean": "cast({} as bigint)",
}
TOLERATED = 2.0**-50


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
    def total(cls, parts: list[tuple[Any, ...]]) -> Counts:
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

    def value(self, metric: Metric, more_keys: int = 0, more_single: int = 0) -> float | None:
        """Return a metric from the counts; None where there are no rows.

        Args:
            metric: a metric of groups.
            more_keys: further combinations that collisions of codes may hide.
            more_single: further combinations that occur once.
        """
        keys, single = self.keys + more_keys, min(self.single + more_single, self.rows)
        if metric.kind == "distinct_count":
            return float(keys)
        if not self.rows:
            return None
        if metric.kind == "uniqueness":
            return single / self.rows
        if metric.kind == "unique_value_ratio":
            return single / keys
        # H = -sum(c/n * ln(c/n)) = ln(n) - sum(c * ln(c)) / n; one collision hides at most ln(2) of 2 * largest rows.
        hidden = more_keys * 2 * self.largest / self.rows * math.log(2)
        return max(math.log(self.rows) - self.weight / self.rows, 0.0) + hidden

    def range(self, metric: Metric) -> tuple[float, float] | None:
        """Return the bounds of a metric under possible collisions of codes; None where none is likely."""
        slack = _collisions(self.keys)
        if not slack or not self.rows or self.single == self.rows:
            return None  # no two combinations share a code if each code occurs once
        ends = [self.value(metric, slack, single) for single in (0, 2 * slack)] + [self.value(metric)]
        bounds = [end for end in ends if end is not None]
        return min(bounds), max(bounds)


def _collisions(keys: int) -> int:
    """Return the number of collisions of 64-bit codes that is exceeded with a probability below :data:`TOLERATED`."""
    expected, chance, count = keys * keys / 2.0**65, 1.0, 0
    while (chance := chance * expected / (count + 1)) >= TOLERATED:
        count += 1
    return count


def groupings(metrics: Iterable[Metric]) -> list[Grouping]:
    """Return the distinct groupings that metrics need."""
    return list(dict.fromkeys(Grouping.of(metric) for metric in metrics if metric.kind in GROUPED))


def counted_code(grouping: Grouping, types: dict[str, str], salt: str) -> str:
    """Return SQL of a row's code, null for a row that is not counted; ``salt`` is SQL of the hash's seed."""
    code = _code(grouping, types, salt)
    if not grouping.where and own_code(grouping, types):
        return code  # null where the column is null
    return f"if({grouping.among()}, {code}, null)"


def _code(grouping: Grouping, types: dict[str, str], salt: str) -> str:
    if own := own_code(grouping, types):
        return own
    # xxhash64 skips nulls, so a flag "is null" precedes each of several columns.
    parts = [part for column in grouping.columns for part in _hashed(column, types[column.lower()])]
    return f"xxhash64({salt}, {', '.join(parts if len(grouping.columns) > 1 else parts[1:])})"


def own_code(grouping: Grouping, types: dict[str, str]) -> str | None:
    """Return SQL of a single column's bits as its code; None where a hash is needed."""
    form = CODES.get(types[grouping.columns[0].lower()]) if len(grouping.columns) == 1 else None
    return form.format(identifier(grouping.columns[0])) if form else None


def _hashed(column: str, kind: str) -> tuple[str, str]:
    name = identifier(column)
    return f"{name} is null", f"to_json({name})" if kind in ("struct", "array", "map") else name
