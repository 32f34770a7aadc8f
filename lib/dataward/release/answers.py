"""Compute answers with intervals from noisy measures. This costs no privacy (post-processing).

An interval covers the answer about the bounded, clamped rows with the query's confidence; it does not include the effect of the
bounds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from dataward.release.exact import Exact, Group, aligned
from dataward.release.noise import Sampler, draw
from dataward.release.plan import BRANCHES, Leaves, Measure, ReleasePlan

__all__ = ["Drawn", "Forecast", "answered", "drawn", "forecasts", "intervals", "shown"]

SIZES = (100, 1_000, 10_000)
"""Sizes of groups for forecasts of errors that depend on the size."""


@dataclass(frozen=True)
class Drawn:
    """A drawn answer: keys of the released groups, and by answer its values, lower and upper ends per group."""

    groups: tuple[Group, ...]
    columns: Mapping[str, tuple[Any, Any, Any]]


@dataclass(frozen=True)
class Forecast:
    """Expected half width of an answer's interval: in any group, or in groups of a size (``of`` rows)."""

    answer: str
    half_width: float
    of: int | None
    what: str = ""


def drawn(plan: ReleasePlan, exact: Exact, sampler: Sampler = draw) -> Drawn:
    """Draw the noise of a release, once per number, and compute its answers.

    Groups with fewer noisy units than the threshold are left out first.
    """
    import numpy as np

    exact = aligned(plan, exact)
    scalars = {one.name: sampler(one.noise, exact.scalars[one.name]) for one in plan.measures if not one.leaves}
    kept = np.arange(len(exact.groups))
    if plan.threshold is not None:
        visible = np.flatnonzero(shown(plan, scalars[plan.units.name]))
        # Sorted by key, as the order of the rows reveals something about the table.
        order = sorted(visible, key=lambda number: [(key is not None, key or "") for key in exact.groups[number]])
        kept = np.array(order, np.int64)
    scalars = {name: values[kept] for name, values in scalars.items()}
    groups = tuple(exact.groups[number] for number in kept)
    trees = {one.name: _Tree(one, exact.leaves[one.name], kept, sampler) for one in plan.measures if one.leaves}
    return Drawn(groups, answered(plan, scalars, trees))


def shown(plan: ReleasePlan, units: Any) -> Any:
    """Return whether each group is released, by its noisy number of units."""
    return units >= (plan.threshold or 0)


def answered(
    plan: ReleasePlan, scalars: Mapping[str, Any], trees: Mapping[str, Any]
) -> dict[str, tuple[Any, Any, Any]]:
    """Compute each answer and its interval from noisy measures."""
    alpha = 1 - plan.query.spend.confidence
    columns = {}
    for answer, names in zip(plan.query.answers, plan.needs, strict=True):
        measures = [plan.measure(name) for name in names]
        if answer.kind == "quantiles":
            columns[answer.label] = trees[names[0]].quantiles(answer.at, alpha)
        elif answer.kind == "histogram":
            columns[answer.label] = trees[names[0]].bins(alpha)
        else:
            columns[answer.label] = intervals(answer.kind, measures, [scalars[name] for name in names], alpha)
    return columns


def intervals(kind: str, measures: list[Measure], values: list[Any], alpha: float) -> tuple[Any, Any, Any]:
    """Return values and interval ends of scalar answers.

    The interval of a quotient holds if those of its parts hold jointly, each with its share of ``alpha``.
    """
    import numpy as np

    halves = [one.noise.half_width(alpha / len(measures)) for one in measures]
    if kind in ("count", "count_distinct"):
        return values[0], values[0] - halves[0], values[0] + halves[0]
    grid = measures[0].grid
    assert grid is not None  # noqa: S101 - sums have one
    if kind == "sum":
        return values[0] * grid.step, (values[0] - halves[0]) * grid.step, (values[0] + halves[0]) * grid.step
    rows = np.maximum(values[-1], 1).astype(float)
    ends = (np.maximum(values[-1] - halves[-1], 1), np.maximum(values[-1] + halves[-1], 1))
    centred = _quotient(values[0] * grid.step, halves[0] * grid.step, rows, ends)
    if kind == "mean":
        return tuple(np.clip(part + grid.middle, grid.low, grid.high) for part in centred)
    second = measures[1].grid
    assert second is not None  # noqa: S101 - sums of squares have one
    squares = _quotient(values[1] * second.step, halves[1] * second.step, rows, ends)
    squares = tuple(part + second.origin for part in squares)
    low, high = centred[1] ** 2, centred[2] ** 2
    least = np.where(np.sign(centred[1]) != np.sign(centred[2]), 0, np.minimum(low, high))
    found = (squares[0] - centred[0] ** 2, squares[1] - np.maximum(low, high), squares[2] - least)
    return tuple(np.clip(part, 0, (grid.high - grid.low) ** 2 / 4) for part in found)


def _quotient(value: Any, half: float, rows: Any, ends: tuple[Any, Any]) -> tuple[Any, ...]:
    import numpy as np

    low, high = (value - half), (value + half)
    return (
        value / rows,
        np.minimum(low / ends[0], low / ends[1]),
        np.maximum(high / ends[0], high / ends[1]),
    )


class _Tree:
    """Noisy counts of bins: all of one level, or those that searches for quantiles reach.

    Every node gets noise once; the noise of a node that is never read is not drawn.
    """

    def __init__(self, measure: Measure, exact: tuple[Any, Any, Any], kept: Any, sampler: Sampler) -> None:
        import numpy as np

        assert measure.leaves is not None  # noqa: S101 - made for measures with bins
        self.leaves: Leaves = measure.leaves
        self.noise, self.sampler, self.size = measure.noise, sampler, len(kept)
        groups, found, counts = exact
        place = np.full(int(max(groups.max(initial=-1), kept.max(initial=-1))) + 1, -1, np.int64)
        place[kept] = np.arange(len(kept))
        there = place[groups] >= 0
        codes = place[groups[there]] * self.leaves.count + found[there]
        order = np.argsort(codes, kind="stable")
        self.codes = codes[order]
        self.sums = np.concatenate([[0], np.cumsum(counts[there][order])])

    def bins(self, alpha: float) -> tuple[Any, Any, Any]:
        """Return the noisy count of every bin of every group."""
        import numpy as np

        starts = np.arange(self.size * self.leaves.count, dtype=np.int64)
        counts = self.sampler(self.noise, self._between(starts, starts + 1)).reshape(self.size, self.leaves.count)
        half = self.noise.half_width(alpha)
        return counts, counts - half, counts + half

    def _between(self, starts: Any, stops: Any) -> Any:
        import numpy as np

        return self.sums[np.searchsorted(self.codes, stops)] - self.sums[np.searchsorted(self.codes, starts)]

    def quantiles(self, at: tuple[float, ...], alpha: float) -> tuple[Any, Any, Any]:
        """Return the quantiles of every group, by descending the tree."""
        import numpy as np

        half = _rank_half_width(self.noise.deviation, self.leaves.levels, alpha)
        quantiles = np.asarray(at, float)
        # The first level gives the number of rows; the ends of an interval are the quantiles half a width away.
        first = self._children(np.repeat(np.arange(self.size, dtype=np.int64), 1), 0)
        rows = np.maximum(first.sum(axis=1), 1)
        away = (half / rows)[:, None]
        wanted = np.stack([np.clip(quantiles + sign * away, 0, 1) for sign in (0, -1, 1)], axis=1)
        flat = wanted.reshape(-1)  # group, end, quantile
        nodes = np.repeat(np.arange(self.size, dtype=np.int64), 3 * len(at))
        ranks, low, width = flat, np.full(len(flat), self.leaves.low), float(self.leaves.high - self.leaves.low)
        for level in range(self.leaves.levels):
            if level == 0:
                children = first[nodes]
            else:
                unique, inverse = np.unique(nodes, return_inverse=True)
                children = self._children(unique, level)[inverse]
            width /= BRANCHES
            child, ranks = _descend(np.maximum(children, 0), ranks)
            low = low + child * width
            nodes = nodes * BRANCHES + child
        found = np.clip(low + ranks * width, self.leaves.low, self.leaves.high).reshape(self.size, 3, len(at))
        return found[:, 0], np.minimum(found[:, 1], found[:, 0]), np.maximum(found[:, 2], found[:, 0])

    def _children(self, nodes: Any, level: int) -> Any:
        """Return noisy counts of the children of nodes of a level (0: the root of a group)."""
        import numpy as np

        size = self.leaves.count // BRANCHES ** (level + 1)
        starts = (nodes[:, None] * BRANCHES + np.arange(BRANCHES)).reshape(-1) * size
        return self.sampler(self.noise, self._between(starts, starts + size)).reshape(-1, BRANCHES)


def _descend(counts: Any, ranks: Any) -> tuple[Any, Any]:
    """Return the child that contains a quantile, and the quantile within it; the middle where no child has rows."""
    import numpy as np

    sums = np.cumsum(counts, axis=1)
    total = sums[:, -1]
    target = ranks * total
    child = np.minimum((sums < target[:, None]).sum(axis=1), BRANCHES - 1)
    index = np.arange(len(child))
    inside = counts[index, child]
    before = sums[index, child] - inside
    rank = np.where(inside > 0, (target - before) / np.maximum(inside, 1), 0.5)
    empty = total <= 0
    return np.where(empty, BRANCHES // 2, child), np.where(empty, 0.0, np.clip(rank, 0, 1))


def _rank_half_width(deviation: float, levels: int, alpha: float) -> float:
    """Return the half width of a rank in rows: up to BRANCHES numbers are added per level; normal approximation."""
    return NormalDist().inv_cdf(1 - alpha / 2) * deviation * math.sqrt(BRANCHES * levels)


def forecasts(plan: ReleasePlan) -> list[Forecast]:
    """Return the expected half widths, before anything is spent or read."""
    alpha = 1 - plan.query.spend.confidence
    found: list[Forecast] = []
    for answer, names in zip(plan.query.answers, plan.needs, strict=True):
        measures = [plan.measure(name) for name in names]
        if answer.kind == "quantiles":
            half = _rank_half_width(measures[0].noise.deviation, measures[0].leaves.levels, alpha)  # type: ignore[union-attr]
            found += [Forecast(answer.label, min(1.0, half / size), size, "share of the ranks") for size in SIZES]
        elif answer.kind in ("mean", "variance"):
            found += [Forecast(answer.label, _spread(answer.kind, measures, alpha, size), size) for size in SIZES]
        else:
            step = measures[0].grid.step if measures[0].grid else 1
            found.append(Forecast(answer.label, measures[0].noise.half_width(alpha) * step, None))
    return found


def _spread(kind: str, measures: list[Measure], alpha: float, size: int) -> float:
    """Return the half width of a quotient's interval in a group with all values in the middle of the bounds."""
    import numpy as np

    squares = [
        -round(one.grid.origin / one.grid.step) * size if one.grid and one.grid.square else 0 for one in measures
    ]
    values = [
        np.array([size if one.kind == "present" else square]) for one, square in zip(measures, squares, strict=True)
    ]
    _, low, high = intervals(kind, measures, values, alpha)
    return float(high[0] - low[0]) / 2
