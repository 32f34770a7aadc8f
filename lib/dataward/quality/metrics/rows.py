"""Numbers and shares of rows."""

from __future__ import annotations

from typing import Any

from dataward.quality.metrics.definition import Definition, count, restricted, rows
from dataward.quality.metrics.metric import Metric, State
from dataward.spark.sql import definite, identifier

__all__ = ["Completeness", "Compliance", "Size"]


class Size(Definition):
    """Number of rows."""

    def aggregates(self, metric: Metric) -> list[str]:
        """Count rows."""
        return [rows(metric)]

    def analyzer(self, deequ: Any, metric: Metric, columns: tuple[str, ...], number: int) -> Any:
        """Return Deequ's analyzer, which takes no column."""
        return deequ.Size(metric.where)


class _Share(Definition):
    def value(self, metric: Metric, state: State) -> float | None:
        """Divide; None where there are no rows."""
        part, whole = state
        share = (part or 0.0) / whole if whole else None
        return 1 - share if share is not None and metric.negated else share


class Completeness(_Share):
    """Share of rows whose column is not null."""

    deequ = "Completeness"

    def aggregates(self, metric: Metric) -> list[str]:
        """Count values and rows."""
        return [f"count({restricted(metric, identifier(metric.columns[0]))})", rows(metric)]


class Compliance(_Share):
    """Share of rows for which a predicate is true, or not true if negated."""

    def aggregates(self, metric: Metric) -> list[str]:
        """Count rows for which the predicate is true, and rows."""
        return [count(restricted(metric, str(metric.predicate))), rows(metric)]

    def analyzer(self, deequ: Any, metric: Metric, columns: tuple[str, ...], number: int) -> Any:
        """Return Deequ's Compliance."""
        predicate = definite(str(metric.predicate), metric.negated)
        return deequ.Compliance(f"compliance {number}", predicate, metric.where)
