"""``RowCount > 1000``: the number of rows."""

from __future__ import annotations

from dataward.quality.metrics import Metric
from dataward.quality.rules.base import TableRule

__all__ = ["RowCount"]


class RowCount(TableRule):
    """Number of rows, nulls or not. An empty table has 0."""

    name = "RowCount"
    parameters = (0, 0)

    def metrics(self) -> tuple[Metric, ...]:
        return (Metric("size", where=self.statement.where),)
