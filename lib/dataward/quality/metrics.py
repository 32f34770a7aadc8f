"""What an engine is asked to measure. Rules name metrics, equal metrics are measured once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["GROUPED", "OF_NUMBERS", "Kind", "Metric", "Unmeasured", "Values", "measurable"]

Kind = Literal[
    "size",  # number of rows
    "completeness",  # share of rows whose column is not null
    "compliance",  # share of rows for which a predicate is true
    "mean",
    "sum",
    "standard_deviation",  # of the population, as in Deequ and Glue
    "minimum",  # of a number
    "maximum",
    "min_length",  # in characters
    "max_length",
    "correlation",  # Pearson
    "distinct_count",  # number of distinct keys, those that are wholly null left out
    "uniqueness",  # share of rows whose key occurs once, among rows with a key that is not wholly null
    "unique_value_ratio",  # keys that occur once / distinct keys
    "entropy",  # natural logarithm, nulls left out
]

GROUPED = frozenset({"distinct_count", "uniqueness", "unique_value_ratio", "entropy"})
"""Kinds that need rows of equal keys brought together: a shuffle, where all others share one scan."""


OF_NUMBERS = frozenset({"mean", "sum", "standard_deviation", "minimum", "maximum", "correlation"})
WHOLE = ("tinyint", "smallint", "int", "bigint")
"""Whole numbers, as Spark's simple types."""
NUMERIC = frozenset({"byte", "short", "integer", "long", "float", "double", "decimal"})


@dataclass(frozen=True)
class Metric:
    """One number about a frame: its kind, the columns it is about, and the rows it looks at (``where``, SQL).

    ``predicate`` (SQL) goes with ``compliance`` only: the share of rows for which it is true, or, if ``negated``, for
    which it is not; null is not true.
    """

    kind: Kind
    columns: tuple[str, ...] = ()
    where: str | None = None
    predicate: str | None = None
    negated: bool = False


class Unmeasured(Exception):
    """A number that could not be had; the message holds no data."""


class Values(dict[Metric, float | None]):
    """Measured numbers; None where there was nothing to measure (an empty frame, only nulls).

    Asking for a metric that could not be measured raises :class:`Unmeasured` with the reason. ``ranges`` holds, for
    numbers that came from hashes, the smallest and the largest value that the true one can have.
    """

    def __init__(
        self,
        values: Mapping[Metric, float | None],
        failures: Mapping[Metric, str] | None = None,
        ranges: Mapping[Metric, tuple[float, float]] | None = None,
    ) -> None:
        super().__init__(values)
        self.failures = dict(failures or {})
        self.ranges = dict(ranges or {})

    def __missing__(self, metric: Metric) -> float | None:
        raise Unmeasured(self.failures.get(metric, f"{metric.kind} was not measured"))

    def at(self, end: Literal[0, 1]) -> Values:
        """The same with every number at the lower (0) or upper (1) end of its range."""
        return Values({**self, **{metric: range_[end] for metric, range_ in self.ranges.items()}}, self.failures)

    def corrected(self, exact: Values) -> Values:
        """The same with numbers that were measured again, exactly."""
        ranges = {metric: range_ for metric, range_ in self.ranges.items() if metric not in exact}
        return Values({**self, **exact}, {**self.failures, **exact.failures}, ranges)


def measurable(metrics: Iterable[Metric], types: Mapping[str, str]) -> tuple[list[Metric], dict[Metric, str]]:
    """Each metric once, without those of numbers over columns that hold none; and why these cannot be measured.

    ``types``: column in lower case to Spark's type name. Spark would cast what it can and leave out the rest.
    """
    failures = {}
    for metric in metrics:
        odd = [c for c in metric.columns if types.get(c.lower()) not in NUMERIC] if metric.kind in OF_NUMBERS else []
        if odd:
            kind = types.get(odd[0].lower())
            remedy = f": give source.schema, with '{odd[0]} double'" if kind == "string" else ""
            failures[metric] = f"{metric.kind} needs a number, and column '{odd[0]}' is {kind}{remedy}"
    return [metric for metric in dict.fromkeys(metrics) if metric not in failures], failures
