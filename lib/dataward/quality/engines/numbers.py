"""Mergeable states of metrics: state(A) + state(B) = state(A union B).

A metric's state is a few aggregates. Counts and sums are added; minima and maxima are compared (NaN is larger than every number, as
in Spark); means, variances and covariances are merged by the formulas of Chan, Golub and LeVeque (*Updating Formulae and a Pairwise
Algorithm for Computing Sample Variances*, 1979), those of pairs by Pebay (SAND2008-6212).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import reduce

from dataward.quality.metrics import Metric
from dataward.spark.sql import identifier

__all__ = ["Numbers", "State", "added", "aggregates", "state", "value"]

Numbers = dict[str, float | None]
"""Result of each aggregate by its SQL; None where there was no value."""

State = tuple[float | None, ...]
"""Results of a metric's aggregates, in their order."""


def aggregates(metric: Metric, parts: bool = False) -> list[str]:
    """Return SQL of the aggregates of a metric; with ``parts``, of its mergeable state."""
    where = f"coalesce({metric.where}, false)" if metric.where else None

    def among(value: str) -> str:
        return f"if({where}, {value}, null)" if where else value

    def count(predicate: str) -> str:
        return f"count(if({predicate}, 1, null))"  # count_if evaluates its predicate twice

    rows = count(where) if where else "count(*)"
    column = identifier(metric.columns[0]) if metric.columns else ""
    numbers = [among(f"cast({identifier(name)} as double)") for name in metric.columns]
    number, length = numbers[0] if numbers else "", among(f"length({column})")
    forms = {
        "size": [rows],
        "completeness": [f"count({among(column)})", rows],
        "compliance": [count(among(str(metric.predicate))), rows],
        "mean": [f"avg({number})"],
        # Exact for whole numbers and decimals; a sum of doubles where these overflow.
        "sum": [f"coalesce(cast(try_sum({among(column)}) as double), sum({number}))"],
        "standard_deviation": [f"stddev_pop({number})"],
        "correlation": [f"corr({', '.join(numbers)})"],
        "minimum": [f"min({number})"],
        "maximum": [f"max({number})"],
        "min_length": [f"min({length})"],
        "max_length": [f"max({length})"],
    }
    if parts:
        forms["mean"] = [f"count({number})", f"sum({number})"]
        forms["standard_deviation"] = [f"count({number})", f"avg({number})", f"var_pop({number})"]
        forms["correlation"] = _of_pairs(*numbers) if metric.kind == "correlation" else []
    return forms[metric.kind]


def _of_pairs(first: str, second: str) -> list[str]:
    """Return SQL of count, means, variances and covariance over the rows in which both are not null."""
    both = [f"if({b} is null, null, {a})" for a, b in ((first, second), (second, first))]
    of_each = [f"{function}({number})" for function in ("avg", "var_pop") for number in both]
    return [f"count({both[0]})", *of_each, f"covar_pop({first}, {second})"]


def state(metric: Metric, numbers: Numbers, parts: bool = False) -> State:
    """Return the state of a metric from the results of all aggregates."""
    return tuple(numbers[sql] for sql in aggregates(metric, parts))


def added(metric: Metric, states: Iterable[State]) -> State:
    """Merge the states of parts.

    Raises:
        ValueError: there is no part.
    """
    parts = list(states)
    if not parts:
        raise ValueError("a table of no parts has no state")
    if metric.kind in ("standard_deviation", "correlation"):
        return reduce(_moments, parts)
    if metric.kind in ("minimum", "min_length"):
        return (_end(parts, min),)
    if metric.kind in ("maximum", "max_length"):
        return (_end(parts, max),)
    return tuple(_total([part[place] for part in parts]) for place in range(len(parts[0])))


def _total(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    # fsum fails on infinities
    return math.fsum(known) if all(map(math.isfinite, known)) else sum(known)


def _end(parts: Sequence[State], choose: Callable[..., float]) -> float | None:
    known = [part[0] for part in parts if part[0] is not None]
    return choose(known, key=lambda value: (math.isnan(value), value)) if known else None


def _moments(left: State, right: State) -> State:
    """Merge two states of count, k means, k variances, and the covariance of a pair."""
    if not left[0] or not right[0]:
        return right if not left[0] else left
    n, m = left[0], right[0]
    k = (len(left) - 1) // 2
    numbers = [(a or 0.0, b or 0.0) for a, b in zip(left, right, strict=True)]
    differences = [_difference(a, b) for a, b in numbers[1 : 1 + k]]
    weight = m / (n + m)
    means = [a + gap * weight for (a, _), gap in zip(numbers[1 : 1 + k], differences, strict=True)]
    products = [gap * gap for gap in differences] + ([differences[0] * differences[1]] if k == 2 else [])
    spreads = [
        (a * n + b * m) / (n + m) + product * (n / (n + m)) * weight
        for (a, b), product in zip(numbers[1 + k :], products, strict=True)
    ]
    return (n + m, *means, *spreads)


def _difference(left: float, right: float) -> float:
    """Return the difference of two means; 0 within rounding error, so that the variance of a constant column stays 0."""
    return 0.0 if abs(right - left) <= 8 * sys.float_info.epsilon * abs(left) else right - left


def value(metric: Metric, state: State) -> float | None:
    """Return a metric's number from its state; None where there was no value."""
    first, *rest = state
    if not rest:
        return first
    if metric.kind in ("completeness", "compliance"):
        share = (first or 0.0) / rest[0] if rest[0] else None
        return 1 - share if share is not None and metric.negated else share
    if metric.kind == "mean":
        return rest[0] / first if first and rest[0] is not None else None
    if metric.kind == "standard_deviation":
        return math.sqrt(rest[1]) if first and rest[1] is not None else None
    return _correlation(state)


def _correlation(state: State) -> float | None:
    """Return the correlation of a pair; NaN where a column is constant."""
    count, _, _, first, second, covariance = (part or 0.0 for part in state)
    if count < 2:
        return None
    spread = math.sqrt(first) * math.sqrt(second)
    return max(-1.0, min(covariance / spread, 1.0)) if spread else math.nan  # a constant column
