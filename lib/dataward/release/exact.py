"""Exact aggregates of a plan's measures, and their computation without Spark.

This computation is the reference of :mod:`dataward.release.aggregate` (a test compares the two), and the auditor
runs it on worst-case neighbours.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dataward.release.plan import Leaves, Measure, ReleasePlan

__all__ = ["Exact", "aggregated", "aligned", "bounded", "leaf"]

Row = Mapping[str, Any]
Group = tuple[str | None, ...]


@dataclass(frozen=True)
class Exact:
    """Aggregates before noise, which never leave the driver.

    Attributes:
        groups: keys of each group, as text.
        scalars: a number per group, by measure (int64).
        leaves: for measures with bins: index of the group, leaf and rows of every bin with rows (int64).
    """

    groups: tuple[Group, ...]
    scalars: Mapping[str, Any]
    leaves: Mapping[str, tuple[Any, Any, Any]]


def aligned(plan: ReleasePlan, exact: Exact) -> Exact:
    """Return the aggregates of exactly the public groups, with 0 where the table has no row; unchanged without a list."""
    import numpy as np

    if plan.listed is None:
        return exact
    place: dict[Group, int] = {group: number for number, group in enumerate(plan.listed)}
    moved = np.array([place[group] for group in exact.groups], np.int64)
    scalars = {}
    for name, values in exact.scalars.items():
        scalars[name] = np.zeros(len(plan.listed), np.int64)
        scalars[name][moved] = values
    leaves = {name: (moved[groups], found, counts) for name, (groups, found, counts) in exact.leaves.items()}
    return Exact(plan.listed, scalars, leaves)


def bounded(plan: ReleasePlan, rows: Iterable[Row], secret: bytes) -> list[Row]:
    """Return the counted rows: of each unit at most the query's number of groups and rows."""
    kept = [
        row
        for row in rows
        if all(_text(row[column]) in values for column, values in plan.allowed.items())
        and (plan.unit is None or row[plan.unit] is not None)
    ]
    if plan.unit is None:
        return kept
    of_unit: dict[Any, list[Row]] = defaultdict(list)
    for row in kept:
        of_unit[row[plan.unit]].append(row)
    taken: list[Row] = []
    for theirs in of_unit.values():
        inside = list(theirs)
        if plan.query.groups < plan.query.rows:
            groups = sorted({_mac(plan, row, secret, (plan.unit, *plan.keys)) for row in theirs})[: plan.query.groups]
            inside = [row for row in theirs if _mac(plan, row, secret, (plan.unit, *plan.keys)) in groups]
        order = []
        seen: Counter[str] = Counter()
        for number, row in enumerate(inside):
            mac = _mac(plan, row, secret, plan.columns)
            seen[mac] += 1  # equal rows are numbered, so that they are not merged
            order.append((hashlib.sha256(f"{mac}:{seen[mac]}".encode()).hexdigest(), number))
        taken += [inside[number] for _, number in sorted(order)[: plan.query.rows]]
    return taken


def _mac(plan: ReleasePlan, row: Row, secret: bytes, columns: Iterable[str | None]) -> str:
    parts = []
    for column in columns:
        text = _text(row[column]) if column else None
        parts.append("n" if text is None else f"v{len(text)}:{text}")
    return hmac.new(secret, "".join(parts).encode(), hashlib.sha256).hexdigest()[:32]


def _text(value: Any) -> str | None:
    """Return a value in the text form of Spark's cast (doubles: those with the same digits in both)."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return None if value is None else str(value)


def leaf(leaves: Leaves, value: float | str | bool) -> int | None:
    """Return the bin of a value; None for a value in no bin."""
    if leaves.values:
        text = str(_text(value))
        return leaves.values.index(text) if text in leaves.values else None
    value = float(value)
    if leaves.edges:
        return min(max(sum(value >= edge for edge in leaves.edges) - 1, 0), leaves.count - 1)
    clamped = min(max(value, leaves.low), leaves.high)
    return min(math.floor((clamped - leaves.low) / leaves.width), leaves.count - 1)


def aggregated(plan: ReleasePlan, rows: Sequence[Row]) -> Exact:
    """Aggregate bounded rows."""
    import numpy as np

    of_group: dict[Group, list[Row]] = defaultdict(list)
    for row in rows:
        of_group[tuple(_text(row[key]) for key in plan.keys)].append(row)
    groups = tuple(of_group)
    scalars, leaves = {}, {}
    for one in plan.measures:
        if one.leaves:
            found = [
                (number, place, count)
                for number, theirs in enumerate(of_group.values())
                for place, count in sorted(_leaves(one, theirs).items())
            ]
            leaves[one.name] = tuple(np.array([part[i] for part in found], np.int64) for i in range(3))
        else:
            scalars[one.name] = np.array([_scalar(plan, one, theirs) for theirs in of_group.values()], np.int64)
    return Exact(groups, scalars, leaves)  # type: ignore[arg-type]


def _there(one: Measure, rows: Iterable[Row]) -> list[Any]:
    values = [row[one.column] for row in rows if one.column]
    return [value for value in values if value is not None and value == value]  # NaN is not a number


def _leaves(one: Measure, rows: Iterable[Row]) -> Counter[int]:
    assert one.leaves is not None  # noqa: S101 - asked for measures with bins
    places = (leaf(one.leaves, value) for value in _there(one, rows))
    return Counter(place for place in places if place is not None)


def _scalar(plan: ReleasePlan, one: Measure, rows: Sequence[Row]) -> int:
    if one.kind == "rows":
        return len(rows)
    if one.kind == "units":
        return len({row[plan.unit or ""] for row in rows})
    there = _there(one, rows)
    if one.kind == "present":
        return len(there)
    if one.kind == "distinct":
        return len({_text(value) for value in there})
    assert one.grid is not None  # noqa: S101 - sums have one
    return sum(one.grid.integer(float(value)) for value in there)
