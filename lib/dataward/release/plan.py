"""Compile a query and a schema into a plan: measures, sensitivities, noise, threshold and cost. Pure; needs no Spark.

Neighbouring tables differ by all rows of one unit. After bounding, a unit has at most R rows in at most G groups, so a
measure to which a row adds at most m changes by at most R m in L1 and, as all rows may be in one group, in L2.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from typing import Any, Literal

from dataward.errors import UsageError, did_you_mean
from dataward.release.accounting import Mechanism, Noise, most_rho, threshold
from dataward.release.query import ROW, Answer, Query

__all__ = ["BRANCHES", "Cost", "Grid", "Leaves", "Measure", "ReleasePlan", "compiled"]

BRANCHES, DEPTH = 16, 3
"""Children of a node and most levels of the tree for quantiles: 4,096 leaves."""

WIDEST = 2**32
"""Most steps between the bounds of a column."""

MOST_GROUPS = 10**7
INTEGERS = ("tinyint", "smallint", "int", "bigint")
KEYS = (*INTEGERS, "string", "boolean", "date", "timestamp", "decimal")

UNSET = Noise("laplace", math.inf)

Kind = Literal["rows", "units", "present", "sum", "squares", "distinct", "leaves"]


@dataclass(frozen=True)
class Grid:
    """Integers of a column's values: ``floor((clamped - origin) / step + 1/2)``.

    With ``square`` the clamped value's distance to ``middle`` is squared first.
    """

    low: float
    high: float
    step: float
    origin: float = 0.0
    square: bool = False

    @property
    def middle(self) -> float:
        """Middle of the bounds."""
        return (self.low + self.high) / 2

    @property
    def most(self) -> int:
        """Largest magnitude of an integer: rounding is monotone, so one of these points has it."""
        return max(abs(self.integer(value)) for value in (self.low, self.middle, self.high))

    def integer(self, value: float) -> int:
        """Return the integer of a value."""
        clamped = min(max(value, self.low), self.high)
        if self.square:
            clamped = (clamped - self.middle) * (clamped - self.middle)
        return math.floor((clamped - self.origin) / self.step + 0.5)


@dataclass(frozen=True)
class Leaves:
    """Bins of a column: of equal width (a tree's leaves), between edges, or one per value."""

    count: int
    low: float = 0.0
    high: float = 0.0
    levels: int = 1
    edges: tuple[float, ...] = ()
    values: tuple[str, ...] = ()

    @property
    def width(self) -> float:
        """Width of a leaf of equal width."""
        return (self.high - self.low) / self.count


@dataclass(frozen=True)
class Measure:
    """One vector of integers, a number per group (per node, with leaves), with its own noise.

    Attributes:
        name: name of the count, unique in a plan.
        kind: how rows are counted.
        column: the column to read.
        l1: largest change by one unit, in L1.
        l2: largest change by one unit, in L2.
        weight: share of the release's cost.
        grid: conversion of values to integers.
        leaves: the bins.
        noise: its noise.
    """

    name: str
    kind: Kind
    column: str | None
    l1: int
    l2: float
    weight: Fraction = Fraction(0)
    grid: Grid | None = None
    leaves: Leaves | None = None
    noise: Noise = UNSET


@dataclass(frozen=True)
class Cost:
    """Privacy loss: (epsilon, delta); with zCDP ``rho``, and ``hidden``, the part of delta for unknown keys."""

    epsilon: float
    delta: float
    rho: float | None
    hidden: float = 0.0


@dataclass(frozen=True)
class ReleasePlan:
    """All decisions before data are read.

    Attributes:
        query: the query.
        keys: grouping columns in the spelling of the schema.
        unit: the unit's column; None: rows.
        types: types of the grouping columns.
        listed: all groups, where every key is public; else None.
        allowed: public keys by column; rows with others are left out.
        measures: the measures.
        threshold: fewest units (with noise) of a released group; None: all groups are public.
        cost: cost of the release.
        mechanism: its noise.
        needs: measures of each answer, in the order of :mod:`dataward.release.answers`.
    """

    query: Query
    keys: tuple[str, ...]
    unit: str | None
    types: tuple[str, ...]
    listed: tuple[tuple[str, ...], ...] | None
    allowed: Mapping[str, tuple[str, ...]]
    measures: tuple[Measure, ...]
    threshold: int | None
    cost: Cost
    mechanism: Mechanism
    needs: tuple[tuple[str, ...], ...]

    def measure(self, name: str) -> Measure:
        """Return a measure by its name."""
        return next(one for one in self.measures if one.name == name)

    @property
    def units(self) -> Measure:
        """The measure to compare with the threshold."""
        return self.measure("units" if self.unit else "rows")

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column of the source to read."""
        named = (self.unit, *self.keys, *(one.column for one in self.measures))
        return tuple(dict.fromkeys(name for name in named if name))


def compiled(query: Query, schema: Mapping[str, str]) -> ReleasePlan:
    """Compile a query for a table.

    Args:
        query: the query.
        schema: types of the table's columns in Spark's names (``int``, ``decimal(9,2)``, ...), by name.

    Raises:
        UsageError: the query does not fit the schema, or cannot be answered at this price.
    """
    columns = _Columns(schema)
    unit = None if query.unit == ROW and ROW not in columns.names else columns.named(query.unit, "unit")
    keys = tuple(columns.named(name, "group_by") for name in query.group_by)
    types = tuple(columns.of(name, KEYS, "group_by") for name in keys)
    allowed = {
        key: tuple(columns.key(key, value) for value in values)
        for key, values in zip(keys, query.group_by.values(), strict=True)
        if values != "unknown"
    }
    if unit and unit in keys:
        raise UsageError(f"group_by names '{unit}', the unit: a group of one unit cannot be released")
    listed = None if query.unknown else tuple(product(*allowed.values()))
    if listed is not None and len(listed) > MOST_GROUPS:
        raise UsageError(
            f"group_by lists {len(listed):,} groups; at most {MOST_GROUPS:,} are answered: list fewer keys"
        )
    found: dict[str, Measure] = {}
    needs = []
    for answer in query.answers:
        wanted = list(_measures(query, answer, columns, unit))
        needs.append(tuple(one.name for one in wanted))
        for one in wanted:
            share = Fraction(1, len(wanted))
            found[one.name] = replace(one, weight=found.get(one.name, one).weight + share)
    if query.unknown:
        one = _units(query, unit)
        found[one.name] = replace(one, weight=found.get(one.name, one).weight + 1)
    measures, cut, cost, mechanism = _noised(query, tuple(found.values()), unit)
    return ReleasePlan(query, keys, unit, types, listed, allowed, measures, cut, cost, mechanism, tuple(needs))


class _Columns:
    """Columns of a schema, found like Spark does: ignoring case."""

    def __init__(self, schema: Mapping[str, str]) -> None:
        self.names = {name.lower(): name for name in schema}
        self.schema = schema

    def named(self, name: str, place: str) -> str:
        found = self.names.get(name.lower())
        if found is None:
            hint = did_you_mean(name, self.schema) or f"it has {', '.join(sorted(self.schema))}"
            raise UsageError(f"{place}: the table has no column '{name}'; {hint}")
        return found

    def of(self, name: str, kinds: tuple[str, ...], place: str) -> str:
        kind = self.schema[name]
        if kind.split("(")[0] not in kinds:
            raise UsageError(f"{place}: column '{name}' is {kind}; one of {', '.join(kinds)} is needed")
        return kind

    def numeric(self, name: str, place: str) -> tuple[str, str]:
        column = self.named(name, place)
        return column, self.of(column, (*INTEGERS, "float", "double", "decimal"), place)

    def key(self, column: str, value: Any) -> str:
        """Return a key in the text form of Spark's cast."""
        kind = self.schema[column]
        if kind not in (*INTEGERS, "string", "boolean", "date"):
            raise UsageError(f"column '{column}' is {kind}: its keys cannot be listed; use 'unknown'")
        fits: Any = {"string": str, "boolean": bool, "date": str}.get(kind, int)
        if not isinstance(value, fits) or (isinstance(value, bool) and kind != "boolean"):
            what = {int: "whole numbers", bool: "true and false"}.get(fits, "texts in quotes")
            raise UsageError(f"column '{column}' is {kind}: its keys are {what}")
        if kind == "date" and not re.fullmatch(r"\d{4}-\d\d-\d\d", str(value)):
            raise UsageError(f"column '{column}': dates are written '2026-01-31'")
        return str(value).lower() if kind == "boolean" else str(value)


def _units(query: Query, unit: str | None) -> Measure:
    if unit is None:
        return Measure("rows", "rows", None, 1, 1.0)
    return Measure("units", "units", None, query.groups, math.sqrt(query.groups))


def _measures(query: Query, answer: Answer, columns: _Columns, unit: str | None) -> Iterator[Measure]:
    """Yield the measures of an answer."""
    rows, place = query.rows, f"answers.{answer.label}"
    if answer.kind == "count":
        yield Measure("rows", "rows", None, rows, rows)
        return
    if answer.kind == "count_distinct":
        column = columns.named(answer.column, place)
        if column == unit:
            yield _units(query, unit)
        else:
            yield Measure(f"distinct {column}", "distinct", column, rows, rows)
        return
    if answer.kind == "histogram":
        yield _histogram(rows, answer, columns, place)
        return
    column, kind = columns.numeric(answer.column, place)
    low, high = answer.between
    described = f"{column} in [{low:g}, {high:g}]"
    if answer.kind == "quantiles":
        levels = DEPTH
        if kind in INTEGERS and high - low < BRANCHES**DEPTH:
            levels = max(1, math.ceil(math.log(high - low + 1, BRANCHES) - 1e-9))
        leaves = Leaves(BRANCHES**levels, low, high, levels)
        yield Measure(f"tree of {described}", "leaves", column, rows * levels, rows * math.sqrt(levels), leaves=leaves)
        return
    step = _step(kind, low, high)
    if answer.kind == "sum":
        yield _summed(f"sum of {described}", "sum", column, Grid(low, high, step), rows)
        return
    middle = Grid(low, high, step).middle
    yield _summed(f"centred sum of {described}", "sum", column, Grid(low, high, step, middle), rows)
    if answer.kind == "variance":
        most = (high - low) ** 2 / 4
        grid = Grid(low, high, 2.0 ** (math.floor(math.log2(most)) - 20), most / 2, True)
        yield _summed(f"centred squares of {described}", "squares", column, grid, rows)
    yield Measure(f"present {column}", "present", column, rows, rows)


def _summed(name: str, kind: Kind, column: str, grid: Grid, rows: int) -> Measure:
    return Measure(name, kind, column, rows * grid.most, rows * grid.most, grid=grid)


def _histogram(rows: int, answer: Any, columns: _Columns, place: str) -> Measure:
    if answer.edges:
        column, _ = columns.numeric(answer.column, place)
        leaves = Leaves(len(answer.edges) - 1, edges=answer.edges)
        return Measure(f"bins of {column} {answer.edges}", "leaves", column, rows, rows, leaves=leaves)
    column = columns.named(answer.column, place)
    columns.of(column, KEYS, place)
    leaves = Leaves(len(answer.values), values=tuple(columns.key(column, value) for value in answer.values))
    return Measure(f"bins of {column} {answer.values!r}", "leaves", column, rows, rows, leaves=leaves)


def _step(kind: str, low: float, high: float) -> float:
    """Return the distance of neighbouring values: that of the type unless it is too fine, else a power of two."""
    exact = 1.0 if kind in INTEGERS else None
    if scale := re.fullmatch(r"decimal\(\d+,(\d+)\)", kind):
        exact = 10.0 ** -int(scale.group(1))
    if exact is not None and max(abs(low), abs(high), high - low) / exact <= WIDEST:
        return exact
    return 2.0 ** (math.floor(math.log2(max(high - low, abs(low), abs(high)))) - 24)


Noised = tuple[tuple[Measure, ...], "int | None", Cost, Mechanism]


def _noised(query: Query, measures: tuple[Measure, ...], unit: str | None) -> Noised:
    """Assign noise to every measure, with the requested mechanism or the better one."""
    wanted = query.spend.mechanism
    found = []
    if wanted != "gaussian":
        found.append(_laplace(query, measures, unit))
    if wanted != "laplace" and query.spend.delta > 0:
        found.append(_gaussian(query, measures, unit))
    return min(found, key=lambda one: math.fsum(math.log(m.noise.deviation or 1e-9) for m in one[0]))


def _laplace(query: Query, measures: tuple[Measure, ...], unit: str | None) -> Noised:
    """Assign Laplace noise: epsilon is divided by weight; all of delta hides unknown keys."""
    total = sum((one.weight for one in measures), Fraction(0))
    spend, made = query.spend, []
    for one in measures:
        share = spend.epsilon * float(one.weight / total) * (1 - 1e-12)  # OpenDP rounds losses up
        made.append(replace(one, noise=Noise("laplace", one.l1 / share)))
    hidden = spend.delta if query.unknown else 0.0
    cut = _cut(query, made, unit, hidden)
    return tuple(made), cut, Cost(spend.epsilon, hidden, None, hidden), "laplace"


def _gaussian(query: Query, measures: tuple[Measure, ...], unit: str | None) -> Noised:
    """Assign Gaussian noise: rho is divided by weight; half of delta converts it, half hides unknown keys."""
    total = sum((one.weight for one in measures), Fraction(0))
    spend, made = query.spend, []
    hidden = spend.delta / 2 if query.unknown else 0.0
    rho = most_rho(spend.epsilon, spend.delta - hidden)
    for one in measures:
        share = rho * float(one.weight / total) * (1 - 1e-12)
        made.append(replace(one, noise=Noise("gaussian", one.l2 / math.sqrt(2 * share))))
    cut = _cut(query, made, unit, hidden)
    return tuple(made), cut, Cost(spend.epsilon, spend.delta, rho, hidden), "gaussian"


def _cut(query: Query, measures: list[Measure], unit: str | None, hidden: float) -> int | None:
    if not query.unknown:
        return None
    name = "units" if unit else "rows"
    noise = next(one.noise for one in measures if one.name == name)
    return threshold(noise, query.groups, hidden)
