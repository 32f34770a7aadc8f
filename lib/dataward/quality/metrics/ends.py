"""Smallest and largest numbers and lengths; NaN is larger than every number, as in Spark."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from dataward.quality.metrics.definition import Definition, doubles, restricted
from dataward.quality.metrics.metric import Metric, State
from dataward.spark.sql import identifier

__all__ = ["Number", "TextLength"]


class _End(Definition):
    """One end of a column's values.

    Args:
        choose: ``min`` or ``max``, which are also the names of Spark's aggregates.
        deequ: name of Deequ's analyzer.
    """

    def __init__(self, choose: Callable[..., float], deequ: str) -> None:
        self.choose, self.deequ = choose, deequ

    def merged(self, parts: Sequence[State]) -> State:
        """Choose among the values of parts that have one."""
        known = [part[0] for part in parts if part[0] is not None]
        return (self.choose(known, key=lambda value: (math.isnan(value), value)) if known else None,)


class Number(_End):
    """Smallest or largest number."""

    of_numbers = True

    def aggregates(self, metric: Metric) -> list[str]:
        """Compare numbers as doubles."""
        return [f"{self.choose.__name__}({doubles(metric)[0]})"]


class TextLength(_End):
    """Smallest or largest length of a text, in characters."""

    def aggregates(self, metric: Metric) -> list[str]:
        """Compare lengths."""
        return [f"{self.choose.__name__}({restricted(metric, f'length({identifier(metric.columns[0])})')})"]
