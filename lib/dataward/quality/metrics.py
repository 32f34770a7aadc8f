"""What an engine is asked to measure. Rules name metrics, equal metrics are measured once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["Metric", "Unmeasured", "Values", "identifier"]

Kind = Literal[
    "size",  # number of rows
    "completeness",  # share of rows whose column is not null
    "compliance",  # share of rows for which a predicate is true
    "mean",
    "sum",
    "standard_deviation",  # of the population, as in Deequ and Glue
    "distinct_count",  # number of distinct values, nulls left out
    "uniqueness",  # share of rows whose key occurs once, among rows with a key that is not wholly null
    "entropy",  # natural logarithm, nulls left out
    "correlation",  # Pearson
]


@dataclass(frozen=True)
class Metric:
    """One number about a frame: its kind, the columns it is about, and the rows it looks at (``where``, SQL).

    ``predicate`` (SQL, true or false for every row, never null) goes with ``compliance`` only.
    """

    kind: Kind
    columns: tuple[str, ...] = ()
    where: str | None = None
    predicate: str | None = None


class Unmeasured(Exception):
    """A number that could not be had; the message holds no data."""


class Values(dict[Metric, float | None]):
    """Measured numbers; None where there was nothing to measure (an empty frame, only nulls).

    Asking for a metric that could not be measured raises :class:`Unmeasured` with the reason.
    """

    def __init__(self, values: Mapping[Metric, float | None], failures: Mapping[Metric, str] | None = None) -> None:
        super().__init__(values)
        self.failures = dict(failures or {})

    def __missing__(self, metric: Metric) -> float | None:
        raise Unmeasured(self.failures.get(metric, f"{metric.kind} was not measured"))


def identifier(column: str) -> str:
    """A column's name as a SQL identifier."""
    return "`" + column.replace("`", "``") + "`"
