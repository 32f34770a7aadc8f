"""What one kind of metric consists of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dataward.quality.metrics.metric import Metric, State
from dataward.spark.sql import identifier

__all__ = ["Definition", "count", "doubles", "restricted", "rows", "total"]


class Definition:
    """A kind of metric: its SQL, its mergeable state and its Deequ analyzer.

    Attributes:
        of_numbers: whether the columns must be numeric: Spark would cast texts and ignore those that are no numbers.
        deequ: name of Deequ's analyzer, where it takes a column and a condition.
    """

    of_numbers: bool = False
    deequ: str = ""

    def aggregates(self, metric: Metric) -> list[str]:
        """Return SQL of the aggregates from which the value is computed."""
        raise NotImplementedError

    def parts(self, metric: Metric) -> list[str]:
        """Return SQL of the aggregates of the mergeable state of a part."""
        return self.aggregates(metric)

    def merged(self, parts: Sequence[State]) -> State:
        """Merge the states of at least one part: state(A) + state(B) = state(A union B)."""
        return tuple(total([part[place] for part in parts]) for place in range(len(parts[0])))

    def value(self, metric: Metric, state: State) -> float | None:
        """Return the number from a state of either form; None where there was no value."""
        return state[0]

    def analyzer(self, deequ: Any, metric: Metric, columns: tuple[str, ...], number: int) -> Any:
        """Return Deequ's analyzer.

        Args:
            deequ: the module ``pydeequ.analyzers``.
            metric: the metric.
            columns: its columns by names that Deequ can take.
            number: a number that no other analyzer of the run has.
        """
        return getattr(deequ, self.deequ)(columns[0], metric.where)


def restricted(metric: Metric, value: str) -> str:
    """Return SQL of a value that is null outside of the metric's condition."""
    return f"if(coalesce({metric.where}, false), {value}, null)" if metric.where else value


def count(predicate: str) -> str:
    """Return SQL of the number of rows for which a predicate is true; ``count_if`` evaluates its predicate twice."""
    return f"count(if({predicate}, 1, null))"


def rows(metric: Metric) -> str:
    """Return SQL of the number of rows that meet the metric's condition."""
    return count(f"coalesce({metric.where}, false)") if metric.where else "count(*)"


def doubles(metric: Metric) -> list[str]:
    """Return SQL of the metric's columns as doubles."""
    return [restricted(metric, f"cast({identifier(name)} as double)") for name in metric.columns]


def total(values: Sequence[float | None]) -> float | None:
    """Return the sum of the known values; None if there is none."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    # fsum fails on infinities
    return math.fsum(known) if all(map(math.isfinite, known)) else sum(known)
