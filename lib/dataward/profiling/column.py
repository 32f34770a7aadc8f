"""Profile of a column as plain data for JSON; for a column that looks sensitive, without values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np

from dataward.profiling.sketch import TYPES, Sketch
from dataward.quality.metrics import WHOLE

__all__ = ["Bin", "ColumnProfile", "Frequent", "Lengths", "column_profile"]

BINS = 20
SHOWN = 100  # frequent values of a profile
SHAPES = 5
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
FIRST, LAST = -62_135_596_800, 253_402_300_799
"""The first and the last second of the calendar, from the year 1 to 9999; doubles of microseconds there are a little off."""


@dataclass(frozen=True)
class Bin:
    """Bin of a histogram from ``low`` to ``high``, and its approximate number of values."""

    low: float
    high: float
    count: float


@dataclass(frozen=True)
class Frequent:
    """A frequent value with its count."""

    value: str
    count: int


@dataclass(frozen=True)
class Lengths:
    """Lengths of texts in characters: smallest, mean, largest."""

    low: int
    mean: float
    high: int


@dataclass(frozen=True)
class ColumnProfile:
    """Profile of one column over ``rows`` rows. None stands for a number that does not exist, or is hidden.

    Numbers of dates and times are seconds since 1970 (UTC). ``distinct`` has a relative standard error of ``distinct_error`` (0:
    exact). Counts of ``frequent`` values are too low by at most ``undercounted``. ``quantiles`` are the 0th to the 100th percentile.
    ``unique`` is the exact share of values that occur once, measured where the column may be a key. ``inferred`` is the type of
    the share ``inferred_share`` of the texts.
    """

    name: str
    type: str
    rows: int
    missing: int
    distinct: float
    distinct_error: float
    inferred: str | None = None
    inferred_share: float | None = None
    sensitive: str | None = None
    empty: int = 0
    not_numbers: int = 0
    zeros: int | None = None
    negatives: int | None = None
    low: float | None = None
    high: float | None = None
    mean: float | None = None
    deviation: float | None = None
    quantiles: tuple[float, ...] = ()
    histogram: tuple[Bin, ...] = ()
    lengths: Lengths | None = None
    frequent: tuple[Frequent, ...] = ()
    undercounted: int = 0
    shapes: tuple[tuple[str, float], ...] = ()
    unique: float | None = None

    @property
    def completeness(self) -> float | None:
        """Share of rows with a value; None without rows."""
        return 1 - self.missing / self.rows if self.rows else None

    @property
    def of_time(self) -> bool:
        """Whether the column holds dates or timestamps."""
        return self.type.startswith(("date", "timestamp"))

    @property
    def key(self) -> bool:
        """Whether every row has a value and all values differ."""
        return self.unique == 1 and not self.missing and self.rows > 0

    @property
    def whole(self) -> bool:
        """Whether ``frequent`` holds every value of the column."""
        return bool(self.frequent) and not self.undercounted and self.distinct == len(self.frequent)

    def hidden(self, class_: str) -> ColumnProfile:
        """Return the profile of a sensitive column: without values, and without numbers that reveal them."""
        no_numbers: dict[str, Any] = dict.fromkeys(("low", "high", "mean", "deviation", "zeros", "negatives"))
        no_lists: dict[str, Any] = dict.fromkeys(("quantiles", "histogram", "frequent", "shapes"), ())
        return replace(self, sensitive=class_, **no_numbers, **no_lists)

    def written(self, number: float | None) -> str:
        """Format a number of the column for people; "-" stands for None."""
        if number is None:
            return "-"
        if self.of_time:
            time = (EPOCH + timedelta(seconds=min(max(number, FIRST), LAST))).replace(tzinfo=None)
            return time.date().isoformat() if self.type == "date" else time.isoformat(" ", "seconds")
        return f"{number:,.6g}"


def column_profile(name: str, type_: str, sketch: Sketch) -> ColumnProfile:
    """Return the profile of a sketch."""
    distinct, error = sketch.distinct
    known = sketch.rows - sketch.nulls
    column = ColumnProfile(name, type_, sketch.rows, sketch.nulls, min(distinct, known), error)
    column = replace(column, frequent=_frequent(column, sketch), undercounted=sketch.lost)
    if sketch.kind == "text":
        return _of_text(column, sketch)
    return column if sketch.kind == "flag" or not sketch.count else _of_numbers(column, sketch)


def _frequent(column: ColumnProfile, sketch: Sketch) -> tuple[Frequent, ...]:
    """Return the most frequent values; values that occur once are left out if most values are distinct."""
    few = 2 * column.distinct <= sketch.rows - sketch.nulls or sketch.kind == "flag"
    ordered = sorted(sketch.frequent.items(), key=lambda counted: (-counted[1], str(counted[0])))[:SHOWN]
    scale = 1e6 if sketch.kind == "time" else 1
    return tuple(Frequent(_text(column, value, scale), count) for value, count in ordered if count > 1 or few)


def _text(column: ColumnProfile, value: Any, scale: float) -> str:
    if isinstance(value, str):
        return value
    if column.type == "boolean":
        return "true" if value else "false"
    return column.written(value / scale)


def _of_text(column: ColumnProfile, sketch: Sketch) -> ColumnProfile:
    if not sketch.count:
        return column
    shares = {name: count / sketch.looked for name, count in sketch.types.items()} if sketch.looked else {}
    inferred = next((name for name in TYPES if shares.get(name, 0) >= 0.9), None)
    shapes = sorted(sketch.shapes.items(), key=lambda counted: (-counted[1], counted[0]))[:SHAPES]
    return replace(
        column,
        empty=sketch.zeros,
        lengths=Lengths(int(sketch.low), sketch.mean, int(sketch.high)),
        inferred=inferred,
        inferred_share=shares[inferred] if inferred else None,
        shapes=tuple((shape, count / sketch.looked) for shape, count in shapes),
    )


def _of_numbers(column: ColumnProfile, sketch: Sketch) -> ColumnProfile:
    scale = 1e6 if sketch.kind == "time" else 1.0
    grid = np.array(sketch.quantiles.get_quantiles([n / 100 for n in range(101)])) / scale
    low, high = sketch.low / scale, sketch.high / scale
    grid[0], grid[-1] = low, high
    deviation = math.sqrt(sketch.squares / sketch.count) / scale
    return replace(
        column,
        not_numbers=sketch.nans,
        zeros=None if column.of_time else sketch.zeros,
        negatives=None if column.of_time else sketch.negatives,
        low=low,
        high=high,
        mean=sketch.mean / scale,
        deviation=deviation,
        quantiles=tuple(grid.tolist()),
        histogram=_histogram(sketch, grid, scale, column.type in WHOLE),
    )


def _histogram(sketch: Sketch, grid: np.ndarray[Any, Any], scale: float, whole: bool) -> tuple[Bin, ...]:
    """Return bins of equal width over the middle 98 %; the first and last bin extend to the extremes."""
    low, high = float(grid[1]), float(grid[99])
    if low == high:
        return (Bin(float(grid[0]), float(grid[100]), float(sketch.count)),)
    bins = BINS
    if whole:  # every bin covers the same number of integers
        wide = math.ceil((high - low + 1) / BINS)
        bins = math.ceil((high - low + 1) / wide)
        low, high = low - 0.5, low - 0.5 + bins * wide
    edges: Sequence[float] = np.linspace(low, high, bins + 1)[1:-1].tolist()
    shares = sketch.quantiles.get_pmf([edge * scale for edge in edges])
    ends = [float(grid[0]), *edges, float(grid[100])]
    return tuple(Bin(ends[n], ends[n + 1], share * sketch.count) for n, share in enumerate(shares))
