"""How numbers are spread: quantiles, mean and deviation of columns, per group, all in one pass; fences from these.

A column's distribution is read off :data:`POINTS` quantiles of Greenwald and Khanna's summary (``percentile_approx``, ranks
good to 1 in 10,000; exact for small groups). Everything that is worked out from them afterwards costs no further pass:

- ``iqr``: [Q1 - k IQR, Q3 + k IQR] (Tukey 1977); skewed: [Q1 - k e^(a MC) IQR, Q3 + k e^(b MC) IQR], MC the medcouple,
  a = -4, b = 3 for MC >= 0, else a = -3, b = 4 (Hubert and Vandervieren 2008)
- ``zscore``: mean +- k standard deviations (of the population)
- ``mad``: median +- k MAD / 0.6745 (Iglewicz and Hoaglin 1993)

Where ties make the IQR or the MAD 0, fences are those of the values that are not the median, and hold it as well; where fewer
than two in a thousand values are another than the median there is no scale, and no value is an outlier.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.contract.treatment import Method
from dataward.quality.internal import INTERNAL
from dataward.sql import identifier
from dataward.workers import settled

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
"""Values that a group must have before any of them counts as an outlier."""

KEY = f"{INTERNAL}key"
ACCURACY = 10_000
FACTORS: dict[Method, float] = {"iqr": 1.5, "zscore": 3.0, "mad": 3.5}


@dataclass(frozen=True)
class Fences:
    """What counts as an outlier in a column: beyond which bounds, worked out per group of equal ``per``."""

    column: str
    method: Method = "iqr"
    factor: float | None = None
    per: tuple[str, ...] = ()
    skewed: bool = False

    def of(self, count: int, mean: float, deviation: float, points: Any) -> tuple[float, float] | None:
        """(low, high) of values with these moments and quantiles (ascending); None where nothing can be told."""
        if count < FEWEST:
            return None
        factor = self.factor or FACTORS[self.method]
        if self.method == "zscore":
            return (mean - factor * deviation, mean + factor * deviation) if deviation else None
        return fences(points, self.method, factor, self.skewed)


def fences(points: Any, method: Method, factor: float, skewed: bool = False) -> tuple[float, float] | None:
    """(low, high) from ascending quantiles; None where they have no scale."""
    import numpy as np

    points = np.asarray(points, float)
    median = _at(points, 0.5)
    first, third = _at(points, 0.25), _at(points, 0.75)
    deviation = _at(np.sort(np.abs(points - median)), 0.5)
    if (deviation if method == "mad" else third - first) == 0:
        others = points[points != median]
        found = fences(others, method, factor, skewed) if len(others) >= FEWEST else None
        return (min(found[0], median), max(found[1], median)) if found else None
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
    """A robust measure of skew, -1 to 1 (Brys, Hubert and Struyf 2004); 0 for a symmetric distribution."""
    import numpy as np

    median = _at(points, 0.5)
    below, above = points[points <= median] - median, points[points >= median] - median
    left, right = np.meshgrid(below, above)
    spread = right - left
    with np.errstate(invalid="ignore", divide="ignore"):
        kernel = np.where(spread > 0, (right + left) / spread, np.nan)
    ties = int((points == median).sum())
    if ties:  # pairs of values that both are the median: the sign of where they stand among these
        order = np.arange(ties)
        signs = np.sign(ties - 1 - order[:, None] - order[None, :])
        return float(np.median(np.concatenate([kernel[np.isfinite(kernel)], signs.ravel()])))
    return float(np.nanmedian(kernel))


def _at(points: Any, share: float) -> float:
    """The smallest point that at least this share of the points does not exceed."""
    return float(points[max(math.ceil(share * len(points) - 1e-9) - 1, 0)])


@dataclass(frozen=True)
class Spreads:
    """What was measured, as one small frame (a row for each set of ``per`` and group); ``numbers`` says what stands where."""

    frame: DataFrame | None
    sets: tuple[tuple[str, ...], ...]
    numbers: dict[Any, int]

    @classmethod
    def measured(
        cls, frame: DataFrame, wanted: Iterable[Fences], centres: Iterable[tuple[str, tuple[str, ...]]] = ()
    ) -> Spreads:
        """What fences need, and mean and median of ``centres`` (column, per): one pass, whatever their number."""
        from pyspark.sql import functions as F

        bounds, centred = list(dict.fromkeys(wanted)), list(dict.fromkeys(centres))
        sets = tuple(dict.fromkeys([*(one.per for one in bounds), *(per for _, per in centred)]))
        columns = list(dict.fromkeys([*((one.column, one.per) for one in bounds), *centred]))
        if not columns:
            return cls(None, (), {})
        keys = ", ".join(
            f"named_struct('number', {number}, 'key', {group_key(per)})" for number, per in enumerate(sets)
        )
        names = {name: f"v{place}" for place, name in enumerate(dict.fromkeys(name for name, _ in columns))}
        values = [f"{_finite(name)} as {short}" for name, short in names.items()]
        rows = frame.selectExpr(*values, f"explode(array({keys})) as group")
        shares = ", ".join(f"{point / POINTS}d" for point in range(1, POINTS + 1))
        told = []
        for place, (name, per) in enumerate(columns):
            value = f"if(group.number = {sets.index(per)}, {names[name]}, null)"
            told += [f"count({value}) as n{place}", f"avg({value}) as m{place}", f"stddev_pop({value}) as s{place}"]
            told.append(f"percentile_approx({value}, array({shares}), {ACCURACY}) as q{place}")
        counted = rows.groupBy(F.expr("group.number as number"), F.expr("group.key as key")).agg(*map(F.expr, told))
        places = [columns.index((one.column, one.per)) for one in bounds]
        of_centres = [columns.index(one) for one in centred]
        ends = "".join(f", low{n} double, high{n} double" for n in range(len(bounds)))
        middles = "".join(f", mean{n} double, median{n} double" for n in range(len(centred)))
        made = _worked_out(bounds, places, of_centres)
        numbers = {one: n for some in (bounds, centred) for n, one in enumerate(some)}
        return cls(counted.mapInArrow(settled(made), f"number int, key string{ends}{middles}"), sets, numbers)

    def held(self) -> Spreads:
        """The same, measured now (one job) and kept by Spark until :meth:`release`."""
        if self.frame is None:
            return self
        kept = self.frame.persist()
        kept.count()
        return Spreads(kept, self.sets, self.numbers)

    def release(self) -> None:
        if self.frame is not None:
            self.frame.unpersist()

    def beside(self, frame: DataFrame, per: tuple[str, ...], wanted: dict[str, str]) -> DataFrame:
        """The frame with columns of the measured ones beside each row: new name to name (``low3``)."""
        from pyspark.sql import functions as F

        assert self.frame is not None  # noqa: S101 - something was measured
        names = (f"{name} as {new}" for new, name in wanted.items())
        small = self.frame.where(f"number = {self.sets.index(per)}").selectExpr(f"key as {KEY}", *names)
        on = F.expr(f"{group_key(per)} = {KEY}") if per else F.lit(True)
        return frame.join(small, on, "left").drop(KEY)


def outlying(column: str, low: str, high: str) -> str:
    """SQL, never null: the number lies beyond its fences. NaN does, where there are any; null does not."""
    number = f"cast({identifier(column)} as double)"
    return f"coalesce({number} < {low} or {number} > {high}, false)"


def group_key(per: Sequence[str]) -> str:
    """SQL of a text that is the same for rows of one group."""
    return f"to_json(struct({', '.join(map(identifier, per))}))" if per else "'{}'"


def _finite(name: str) -> str:
    """SQL of a column's number; null for NaN and the infinities."""
    number = f"cast({identifier(name)} as double)"
    return f"if(abs({number}) < double('infinity'), {number}, null)"


def _worked_out(
    bounds: Sequence[Fences], places: Sequence[int], centres: Sequence[int]
) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            made: dict[str, list[Any]] = {"number": [], "key": []}
            for row in batch.to_pylist():
                made["number"].append(row["number"])
                made["key"].append(row["key"])
                for n, (one, place) in enumerate(zip(bounds, places, strict=True)):
                    points = row[f"q{place}"]
                    ends = one.of(row[f"n{place}"], row[f"m{place}"], row[f"s{place}"], points) if points else None
                    low, high = ends or (None, None)
                    made.setdefault(f"low{n}", []).append(low)
                    made.setdefault(f"high{n}", []).append(high)
                for n, place in enumerate(centres):
                    points = row[f"q{place}"]
                    made.setdefault(f"mean{n}", []).append(row[f"m{place}"])
                    made.setdefault(f"median{n}", []).append(_at(points, 0.5) if points else None)
            doubles = {
                name: pa.array(given, pa.float64()) for name, given in made.items() if name not in ("number", "key")
            }
            yield pa.RecordBatch.from_pydict(
                {"number": pa.array(made["number"], pa.int32()), "key": pa.array(made["key"], pa.string()), **doubles}
            )

    return run
