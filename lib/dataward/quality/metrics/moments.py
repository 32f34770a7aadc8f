"""Means, sums, deviations and correlations.

States are merged by the formulas of Chan, Golub and LeVeque (*Updating Formulae and a Pairwise Algorithm for Computing Sample
Variances*, 1979), those of pairs by Pebay (SAND2008-6212).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from functools import reduce
from typing import Any

from dataward.quality.metrics.definition import Definition, doubles, restricted
from dataward.quality.metrics.metric import Metric, State
from dataward.spark.sql import identifier

__all__ = ["Correlation", "Mean", "StandardDeviation", "Sum"]


class Mean(Definition):
    """Mean; nulls are left out."""

    of_numbers, deequ = True, "Mean"

    def aggregates(self, metric: Metric) -> list[str]:
        """Return the mean itself."""
        return [f"avg({doubles(metric)[0]})"]

    def parts(self, metric: Metric) -> list[str]:
        """Count and add values."""
        number = doubles(metric)[0]
        return [f"count({number})", f"sum({number})"]

    def value(self, metric: Metric, state: State) -> float | None:
        """Divide the sum of a mergeable state by its count."""
        first, *rest = state
        if not rest:
            return first
        return rest[0] / first if first and rest[0] is not None else None


class Sum(Definition):
    """Sum, exact for whole numbers and decimals; a sum of doubles where these overflow."""

    of_numbers, deequ = True, "Sum"

    def aggregates(self, metric: Metric) -> list[str]:
        """Add exactly where that is possible."""
        exact = f"try_sum({restricted(metric, identifier(metric.columns[0]))})"
        return [f"coalesce(cast({exact} as double), sum({doubles(metric)[0]}))"]


class StandardDeviation(Definition):
    """Standard deviation of the population, as in Deequ and Glue."""

    of_numbers, deequ = True, "StandardDeviation"

    def aggregates(self, metric: Metric) -> list[str]:
        """Return the deviation itself."""
        return [f"stddev_pop({doubles(metric)[0]})"]

    def parts(self, metric: Metric) -> list[str]:
        """Return count, mean and variance."""
        number = doubles(metric)[0]
        return [f"count({number})", f"avg({number})", f"var_pop({number})"]

    def merged(self, parts: Sequence[State]) -> State:
        """Merge counts, means and variances."""
        return reduce(_moments, parts)

    def value(self, metric: Metric, state: State) -> float | None:
        """Take the root of the variance of a mergeable state."""
        first, *rest = state
        if not rest:
            return first
        return math.sqrt(rest[1]) if first and rest[1] is not None else None


class Correlation(Definition):
    """Pearson's correlation over the rows in which both columns have a value; NaN where a column is constant."""

    of_numbers = True

    def aggregates(self, metric: Metric) -> list[str]:
        """Return the correlation itself."""
        return [f"corr({', '.join(doubles(metric))})"]

    def parts(self, metric: Metric) -> list[str]:
        """Return count, means, variances and covariance."""
        first, second = doubles(metric)
        both = [f"if({b} is null, null, {a})" for a, b in ((first, second), (second, first))]
        of_each = [f"{function}({number})" for function in ("avg", "var_pop") for number in both]
        return [f"count({both[0]})", *of_each, f"covar_pop({first}, {second})"]

    def merged(self, parts: Sequence[State]) -> State:
        """Merge counts, means, variances and covariances."""
        return reduce(_moments, parts)

    def value(self, metric: Metric, state: State) -> float | None:
        """Divide the covariance of a mergeable state by the deviations."""
        if len(state) == 1:
            return state[0]
        count, _, _, first, second, covariance = (part or 0.0 for part in state)
        if count < 2:
            return None
        spread = math.sqrt(first) * math.sqrt(second)
        return max(-1.0, min(covariance / spread, 1.0)) if spread else math.nan

    def analyzer(self, deequ: Any, metric: Metric, columns: tuple[str, ...], number: int) -> Any:
        """Return Deequ's analyzer, which takes two columns."""
        return deequ.Correlation(columns[0], columns[1], metric.where)


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
