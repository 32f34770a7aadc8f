"""All kinds of metrics, and what is asked of a metric whatever its kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dataward.quality.metrics.definition import Definition
from dataward.quality.metrics.ends import Number, TextLength
from dataward.quality.metrics.keys import Counts, DistinctCount, Entropy, OfKeys, Uniqueness, UniqueValueRatio
from dataward.quality.metrics.metric import NUMERIC, Kind, Metric, State
from dataward.quality.metrics.moments import Correlation, Mean, StandardDeviation, Sum
from dataward.quality.metrics.rows import Completeness, Compliance, Size

__all__ = ["KINDS", "Numbers", "aggregates", "is_grouped", "measurable", "merged", "of_counts", "state", "value"]

KINDS: Mapping[Kind, Definition] = {
    "size": Size(),
    "completeness": Completeness(),
    "compliance": Compliance(),
    "mean": Mean(),
    "sum": Sum(),
    "standard_deviation": StandardDeviation(),
    "minimum": Number(min, "Minimum"),
    "maximum": Number(max, "Maximum"),
    "min_length": TextLength(min, "MinLength"),
    "max_length": TextLength(max, "MaxLength"),
    "correlation": Correlation(),
    "distinct_count": DistinctCount(),
    "uniqueness": Uniqueness(),
    "unique_value_ratio": UniqueValueRatio(),
    "entropy": Entropy(),
}

Numbers = dict[str, float | None]
"""Result of each aggregate by its SQL; None where there was no value."""


def is_grouped(metric: Metric) -> bool:
    """Return whether a metric needs a shuffle by keys; all others share one scan."""
    return isinstance(KINDS[metric.kind], OfKeys)


def aggregates(metric: Metric, parts: bool = False) -> list[str]:
    """Return SQL of the aggregates of a metric; with ``parts``, of its mergeable state."""
    definition = KINDS[metric.kind]
    return definition.parts(metric) if parts else definition.aggregates(metric)


def state(metric: Metric, numbers: Numbers, parts: bool = False) -> State:
    """Return the state of a metric from the results of all aggregates."""
    return tuple(numbers[sql] for sql in aggregates(metric, parts))


def merged(metric: Metric, states: Iterable[State]) -> State:
    """Merge the states of parts.

    Raises:
        ValueError: there is no part.
    """
    parts = list(states)
    if not parts:
        raise ValueError("a table of no parts has no state")
    return KINDS[metric.kind].merged(parts)


def value(metric: Metric, state: State) -> float | None:
    """Return a metric's number from its state; None where there was no value."""
    return KINDS[metric.kind].value(metric, state)


def of_counts(metric: Metric, counts: Counts) -> float | None:
    """Return a metric's number from the counts of its keys.

    Raises:
        TypeError: the metric is none of keys.
    """
    definition = KINDS[metric.kind]
    if not isinstance(definition, OfKeys):
        raise TypeError(f"{metric.kind} is not measured by counting keys")
    return definition.of_counts(counts)


def measurable(metrics: Iterable[Metric], types: Mapping[str, str]) -> tuple[list[Metric], dict[Metric, str]]:
    """Split metrics into the distinct measurable ones, and the reasons why others cannot be measured.

    Args:
        metrics: the metrics.
        types: Spark's type name by column in lower case.
    """
    failures = {}
    for metric in metrics:
        numeric = KINDS[metric.kind].of_numbers
        odd = [name for name in metric.columns if types.get(name.lower()) not in NUMERIC] if numeric else []
        if odd:
            kind = types.get(odd[0].lower())
            remedy = f": give source.schema, with '{odd[0]} double'" if kind == "string" else ""
            failures[metric] = f"{metric.kind} needs a number, and column '{odd[0]}' is {kind}{remedy}"
    return [metric for metric in dict.fromkeys(metrics) if metric not in failures], failures
