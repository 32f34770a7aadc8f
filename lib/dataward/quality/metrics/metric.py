"""What is measured, and the measured numbers; equal metrics are measured once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["NUMERIC", "WHOLE", "Kind", "Metric", "State", "Unmeasured", "Values"]

Kind = Literal[
    "size",
    "completeness",
    "compliance",
    "mean",
    "sum",
    "standard_deviation",
    "minimum",
    "maximum",
    "min_length",
    "max_length",
    "correlation",
    "distinct_count",
    "uniqueness",
    "unique_value_ratio",
    "entropy",
]

State = tuple[float | None, ...]
"""Results of a metric's aggregates, in their order."""

WHOLE = ("tinyint", "smallint", "int", "bigint")
"""Whole numbers, as Spark's simple types."""
NUMERIC = frozenset({"byte", "short", "integer", "long", "float", "double", "decimal"})


@dataclass(frozen=True)
class Metric:
    """One number about a frame.

    Attributes:
        kind: what is measured.
        columns: the measured columns.
        where: SQL of a condition; rows for which it is not true are left out.
        predicate: SQL of kind ``compliance``, the share of rows for which it is true; null is not true.
        negated: for ``compliance``, the share of rows for which ``predicate`` is not true.
    """

    kind: Kind
    columns: tuple[str, ...] = ()
    where: str | None = None
    predicate: str | None = None
    negated: bool = False


class Unmeasured(Exception):
    """A number could not be measured; the message holds no data."""


class Values(dict[Metric, float | None]):
    """Measured numbers by metric; None where there was no value to measure (an empty frame, only nulls).

    A metric that could not be measured raises :class:`Unmeasured` with the reason. ``ranges`` holds the bounds of the true value of
    numbers that were counted by hashes.
    """

    def __init__(
        self,
        values: Mapping[Metric, float | None],
        failures: Mapping[Metric, str] | None = None,
        ranges: Mapping[Metric, tuple[float, float]] | None = None,
    ) -> None:
        """Create values with reasons of failures and bounds."""
        super().__init__(values)
        self.failures = dict(failures or {})
        self.ranges = dict(ranges or {})

    def __missing__(self, metric: Metric) -> float | None:
        """Raise Unmeasured with the reason of the failure."""
        raise Unmeasured(self.failures.get(metric, f"{metric.kind} was not measured"))

    def at(self, end: Literal[0, 1]) -> Values:
        """Return the values with every number at the lower (0) or upper (1) end of its range."""
        return Values({**self, **{metric: range_[end] for metric, range_ in self.ranges.items()}}, self.failures)

    def corrected(self, exact: Values) -> Values:
        """Return the values with the numbers that were measured again, exactly."""
        ranges = {metric: range_ for metric, range_ in self.ranges.items() if metric not in exact}
        return Values({**self, **exact}, {**self.failures, **exact.failures}, ranges)
