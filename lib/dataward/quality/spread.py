"""Measure quantiles, mean and deviation of columns per group in one pass, and derive outlier fences from them.

A column's distribution is represented by :data:`POINTS` quantiles of the Greenwald-Khanna summary (``percentile_approx``,
rank error 1 in 10,000; exact for small groups). Fences need no further pass:

- ``iqr``: [Q1 - k IQR, Q3 + k IQR] (Tukey 1977); skewed: [Q1 - k e^(a MC) IQR, Q3 + k e^(b MC) IQR], MC the medcouple,
  a = -4, b = 3 for MC >= 0, else a = -3, b = 4 (Hubert and Vandervieren 2008)
- ``zscore``: mean +- k standard deviations (of the population)
- ``mad``: median +- k MAD / 0.6745 (Iglewicz and Hoaglin 1993)

Where ties make the IQR or the MAD 0, the fences are computed from the values that differ from the median, and widened to include
the median; where fewer than two in a thousand values differ from it, there is no scale and no value is an outlier.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.contract.treatment import Method
from dataward.quality.internal import INTERNAL
from dataward.spark.held import Held, hold
from dataward.spark.sql import identifier
from dataward.spark.workers import without_delay

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

__all__ = [
    "FEWEST",
    "FACTORS",
    "KEY",
    "Fences",
    "Spreads",
    "fences",
    "group_key",
    "medcouple",
    "outlying",
]

POINTS = 2000
FEWEST = 4
"""Minimum number of values of a group; smaller groups have no outliers."""

KEY = f"{INTERNAL}key"
ACCURACY = 10_000
FACTORS: dict[Method, float] = {"iqr": 1.5, "zscore": 3.0, "mad": 3.5}


@dataclass(frozen=True)
class Fences:
    """Definition of outliers in a column: method, factor (None: the method's default) and grouping columns."""

    column: str
    method: Method = "iqr"
    factor: float | None = None
    per: tuple[str, ...] = ()
    skewed: bool = False

    def of(self, count: int, mean: float, deviation: float, points: Any) -> tuple[float, float] | None:
        """Return (low, high) for a group with these moments and ascending quantiles; None for small or constant groups."""
        if count < FEWEST:
            return None
        factor = self.factor or FACTORS[self.method]
        if self.method == "zscore":
            return (mean - factor * deviation, mean + factor * deviation) if deviation else None
        return fences(points, self.method, factor, self.skewed)


def fences(points: Any, method: Method, factor: float, skewed: bool = False) -> tuple[float, float] | None:
    """Return (low, high) from ascending quantiles; None where nearly all values are equal."""
    import numpy as np

    points = np.asarray(points, float)
    median = _at(points, 0.5)
    first, third = _at(points, 0.25), _at(points, 0.75)
    deviation = _at(np.sort(np.abs(points - median)), 0.5)
    if (deviation if method == "mad" else third - first) == 0:
        rest = points[points != median]
        bounds = fences(rest, method, factor, skewed) if len(rest) >= FEWEST else None
        return (min(bounds[0], median), max(bounds[1], median)) if bounds else None
    if method == "mad":
        width = factor * deviation / 0.6745
        return median - width, median + width
    width = factor * (third - first)
    if not skewed:
        return first - width, third + width
    skew = medcouple(points)
    left, right = (-4, 3) if skew >= 0 else (-3, 4)
    return first - width * math.exp(left * skew), third + width * math.exp(right * skew)


def medcouple(points: Any) -> float:
    """Return the medcouple, a robust skewness from -1 to 1 (Brys, Hubert and Struyf 2004); 0 for a symmetric sample."""
    import numpy as np

    median = _at(points, 0.5)
    below, above = points[points <= median] - median, points[points >= median] - median
    left, right = np.meshgrid(below, above)
    spread = right - left
    with np.errstate(invalid="ignore", divide="ignore"):
        kernel = np.where(spread > 0, (right + left) / spread, np.nan)
    ties = int((points == median).sum())
    if ties:  # the kernel of two values that both equal the median is the sign of their rank among these
        order = np.arange(ties)
        signs = np.sign(ties - 1 - order[:, None] - order[None, :])
        return float(np.median(np.concatenate([kernel[np.isfinite(kernel)], signs.ravel()])))
    return float(np.nanmedian(kernel))


def _at(points: Any, share: float) -> float:
    """Return the ``share`` quantile of ascending points (inverse of the empirical distribution function)."""
    return float(points[max(math.ceil(share * len(points) - 1e-9) - 1, 0)])


@dataclass(frozen=True)
class Spreads:
    """Measured fences and centres.

    Attributes:
        frame: columns number (index into ``sets``), key (of the group) and lowN, highN, meanN, medianN; None: nothing was asked.
        sets: the distinct lists of grouping columns.
        numbers: the N of each :class:`Fences` and of each centre (column, grouping columns).
        kept: holds the frame in memory.
    """

    frame: DataFrame | None
    sets: tuple[tuple[str, ...], ...]
    numbers: dict[Any, int]
    kept: Held | None = None

    @classmethod
    def measured(
        cls, frame: DataFrame, wanted: Iterable[Fences], centres: Iterable[tuple[str, tuple[str, ...]]] = ()
    ) -> Spreads:
        """Plan the measurement of fences, and of mean and median of ``centres`` (column, grouping columns), in one pass."""
        from pyspark.sql import functions as F

        bounds, centred = list(dict.fromkeys(wanted)), list(dict.fromkeys(centres))
        sets = tuple(dict.fromkeys([*(fence.per for fence in bounds), *(per for _, per in centred)]))
        columns = list(dict.fromkeys([*((fence.column, fence.per) for fence in bounds), *centred]))
        if not columns:
            return cls(None, (), {})
        keys = ", ".join(
            f"named_struct('number', {number}, 'key', {group_key(per)})" for number, per in enumerate(sets)
        )
        names = {name: f"v{place}" for place, name in enumerate(dict.fromkeys(name for name, _ in columns))}
        values = [f"{_finite(name)} as {short}" for name, short in names.items()]
        rows = frame.selectExpr(*values, f"explode(array({keys})) as group")
        shares = ", ".join(f"{point / POINTS}d" for point in range(1, POINTS + 1))
        aggregates = []
        for place, (name, per) in enumerate(columns):
            value = f"if(group.number = {sets.index(per)}, {names[name]}, null)"
            aggregates += [
                f"count({value}) as n{place}",
                f"avg({value}) as m{place}",
                f"stddev_pop({value}) as s{place}",
            ]
            aggregates.append(f"percentile_approx({value}, array({shares}), {ACCURACY}) as q{place}")
        counted = rows.groupBy(F.expr("group.number as number"), F.expr("group.key as key")).agg(
            *map(F.expr, aggregates)
        )
        places = [columns.index((fence.column, fence.per)) for fence in bounds]
        of_centres = [columns.index(centre) for centre in centred]
        ends = "".join(f", low{n} double, high{n} double" for n in range(len(bounds)))
        middles = "".join(f", mean{n} double, median{n} double" for n in range(len(centred)))
        convert = _bounds_of_groups(bounds, places, of_centres)
        numbers = {wish: n for wishes in (bounds, centred) for n, wish in enumerate(wishes)}
        return cls(counted.mapInArrow(without_delay(convert), f"number int, key string{ends}{middles}"), sets, numbers)

    def held(self) -> Spreads:
        """Measure now (one Spark job) and persist the result until :meth:`release`."""
        if self.frame is None:
            return self
        held = hold(self.frame)
        return Spreads(held.frame, self.sets, self.numbers, held)

    def release(self) -> None:
        """Unpersist the result of :meth:`held`."""
        if self.kept is not None:
            self.kept.release()

    def beside(self, frame: DataFrame, per: tuple[str, ...], wanted: dict[str, str]) -> DataFrame:
        """Join measured columns of each row's group to a frame; ``wanted`` maps a new name to a measured name (``low3``)."""
        from pyspark.sql import functions as F

        assert self.frame is not None  # noqa: S101 - callers ask only for what they measured
        names = (f"{name} as {new}" for new, name in wanted.items())
        small = self.frame.where(f"number = {self.sets.index(per)}").selectExpr(f"key as {KEY}", *names)
        on = F.expr(f"{group_key(per)} = {KEY}") if per else F.lit(True)
        return frame.join(small, on, "left").drop(KEY)


def outlying(column: str, low: str, high: str) -> str:
    """Return SQL, never null: whether the number is outside its fences (NaN is, where fences exist; null is not)."""
    number = f"cast({identifier(column)} as double)"
    return f"coalesce({number} < {low} or {number} > {high}, false)"


def group_key(per: Sequence[str]) -> str:
    """Return SQL of a text that identifies a row's group."""
    return f"to_json(struct({', '.join(map(identifier, per))}))" if per else "'{}'"


def _finite(name: str) -> str:
    """Return SQL of a column as double; null for NaN and the infinities."""
    number = f"cast({identifier(name)} as double)"
    return f"if(abs({number}) < double('infinity'), {number}, null)"


def _bounds_of_groups(
    bounds: Sequence[Fences], places: Sequence[int], centres: Sequence[int]
) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """Return a function for ``mapInArrow`` from moments and quantiles per group to fences and centres."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            output: dict[str, list[Any]] = {"number": [], "key": []}
            for row in batch.to_pylist():
                output["number"].append(row["number"])
                output["key"].append(row["key"])
                for n, (fence, place) in enumerate(zip(bounds, places, strict=True)):
                    points = row[f"q{place}"]
                    ends = fence.of(row[f"n{place}"], row[f"m{place}"], row[f"s{place}"], points) if points else None
                    low, high = ends or (None, None)
                    output.setdefault(f"low{n}", []).append(low)
                    output.setdefault(f"high{n}", []).append(high)
                for n, place in enumerate(centres):
                    points = row[f"q{place}"]
                    output.setdefault(f"mean{n}", []).append(row[f"m{place}"])
                    output.setdefault(f"median{n}", []).append(_at(points, 0.5) if points else None)
            doubles = {
                name: pa.array(numbers, pa.float64())
                for name, numbers in output.items()
                if name not in ("number", "key")
            }
            yield pa.RecordBatch.from_pydict(
                {
                    "number": pa.array(output["number"], pa.int32()),
                    "key": pa.array(output["key"], pa.string()),
                    **doubles,
                }
            )

    return run
