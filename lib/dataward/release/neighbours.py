"""Worst-case neighbours of a plan: two tables that differ by one unit with too many rows, groups and too large values."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from dataward.release.plan import BRANCHES, ReleasePlan

__all__ = ["Neighbours", "neighbours", "vector"]

FAR = 1e6
"""Factor by which values exceed their bounds."""


@dataclass(frozen=True)
class Neighbours:
    """Two tables: ``more`` has the rows of one unit that ``less`` lacks."""

    name: str
    less: tuple[dict[str, Any], ...]
    more: tuple[dict[str, Any], ...]


def neighbours(plan: ReleasePlan) -> Iterator[Neighbours]:
    """Yield pairs: the unit's values at either end, its rows in one group, in too many, or in groups of its own."""
    groups = _groups(plan, plan.query.groups + 2)
    base = tuple(_row(plan, f"other{n}", group, 0.0, n) for n, group in enumerate(groups))
    many = 1 if plan.unit is None else 2 * plan.query.rows + 3 * len(groups)
    for end in (-1.0, 1.0):
        which = "low" if end < 0 else "high"
        one = tuple(_row(plan, "person", groups[0], end, n) for n in range(many))
        yield Neighbours(f"{which} values, one group", base, (*base, *one))
        if len(groups) > 1 and plan.unit is not None:
            spread = tuple(_row(plan, "person", groups[n % len(groups)], end, n) for n in range(many))
            yield Neighbours(f"{which} values, {len(groups)} groups", base, (*base, *spread))


def vector(plan: ReleasePlan, exact: Any) -> dict[tuple[str, Any, int, int], int]:
    """Return every number that gets noise, by measure, group, level and node, where it is not 0."""
    found: dict[tuple[str, Any, int, int], int] = {}
    for one in plan.measures:
        if one.leaves is None:
            values = exact.scalars[one.name]
            found |= {(one.name, group, 0, 0): int(value) for group, value in zip(exact.groups, values, strict=True)}
            continue
        for group, leaf, count in zip(*exact.leaves[one.name], strict=True):
            for level in range(one.leaves.levels):
                place = (one.name, exact.groups[group], level, int(leaf) // BRANCHES**level)
                found[place] = found.get(place, 0) + int(count)
    return found


def _groups(plan: ReleasePlan, wanted: int) -> list[tuple[Any, ...]]:
    if not plan.keys:
        return [()]
    if plan.listed is not None:
        columns = [
            [_typed(kind, text) for text in column]
            for kind, column in zip(plan.types, zip(*plan.listed, strict=True), strict=True)
        ]
        return list(zip(*columns, strict=True))[:wanted]
    made = []
    for number in range(wanted):
        group = []
        for key, kind in zip(plan.keys, plan.types, strict=True):
            texts = plan.allowed.get(key)
            group.append(_typed(kind, texts[number % len(texts)]) if texts else _made(kind, number))
        made.append(tuple(group))
    return list(dict.fromkeys(made))


def _made(kind: str, number: int) -> Any:
    if kind == "string":
        return f"group{number}"
    if kind == "boolean":
        return number % 2 == 0
    if kind == "date":
        return datetime.date(2026, 1, 1) + datetime.timedelta(days=number)
    if kind == "timestamp":
        return datetime.datetime(2026, 1, 1) + datetime.timedelta(days=number)
    return Decimal(number) if kind.startswith("decimal") else number


def _typed(kind: str, text: str) -> Any:
    if kind == "boolean":
        return text == "true"
    if kind == "date":
        return datetime.date.fromisoformat(text)
    return text if kind == "string" else int(text)


def _row(plan: ReleasePlan, unit: str, group: tuple[Any, ...], end: float, number: int) -> dict[str, Any]:
    """Return a row with values in the middle of their bounds (end 0), or far beyond an end."""
    row: dict[str, Any] = {}
    for one in plan.measures:
        if one.column is None or one.column in row:
            continue
        row[one.column] = _value(plan, one.column, end, number)
    row |= dict(zip(plan.keys, group, strict=True))
    if plan.unit is not None:
        row[plan.unit] = unit
    return row


def _value(plan: ReleasePlan, column: str, end: float, number: int) -> Any:
    measures = [one for one in plan.measures if one.column == column]
    for one in measures:
        if one.leaves is not None and one.leaves.values:
            return one.leaves.values[0]
        bounds = one.grid or one.leaves
        if bounds is not None:
            edges = one.leaves.edges if one.leaves else ()
            low, high = (edges[0], edges[-1]) if edges else (bounds.low, bounds.high)
            return (low + high) / 2 + end * (FAR * (high - low) + number)
    return f"value{number}" if end else "value"
