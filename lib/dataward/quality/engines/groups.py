"""The 64-bit code of a row for a set of key columns, and what collisions of codes may change."""

from __future__ import annotations

from collections.abc import Iterable

from dataward.quality.metrics import Metric, is_grouped
from dataward.quality.metrics.keys import Counts, Grouping
from dataward.quality.metrics.kinds import of_counts
from dataward.spark.sql import identifier

__all__ = ["bounds", "counted_code", "groupings", "own_code"]

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


def bounds(metric: Metric, counts: Counts) -> tuple[float, float] | None:
    """Return the bounds of a metric under possible collisions of codes; None where none is likely."""
    slack = _collisions(counts.keys)
    if not slack or not counts.rows or counts.single == counts.rows:
        return None  # no two combinations share a code if each code occurs once
    possible = [counts, *(counts.with_collisions(slack, single) for single in (0, 2 * slack))]
    ends = [end for end in (of_counts(metric, case) for case in possible) if end is not None]
    return min(ends), max(ends)


def _collisions(keys: int) -> int:
    """Return the number of collisions of 64-bit codes that is exceeded with a probability below :data:`TOLERATED`."""
    expected, chance, count = keys * keys / 2.0**65, 1.0, 0
    while (chance := chance * expected / (count + 1)) >= TOLERATED:
        count += 1
    return count


def groupings(metrics: Iterable[Metric]) -> list[Grouping]:
    """Return the distinct groupings that metrics need."""
    return list(dict.fromkeys(Grouping.of(metric) for metric in metrics if is_grouped(metric)))


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
