"""``ColumnCorrelation "height" "weight" > 0.8``: how two columns move together."""

from __future__ import annotations

from dataward.quality.metrics import Metric
from dataward.quality.rules.base import TableRule

__all__ = ["ColumnCorrelation"]


class ColumnCorrelation(TableRule):
    """Pearson's correlation coefficient, -1 to 1, over rows in which both columns have a value."""

    name = "ColumnCorrelation"
    parameters = (2, 2)

    def metrics(self) -> tuple[Metric, ...]:
        return (Metric("correlation", self.columns, self.statement.where),)
