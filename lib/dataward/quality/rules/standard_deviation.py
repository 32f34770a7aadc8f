"""``StandardDeviation "rating" < 1.5``: the spread of a column."""

from __future__ import annotations

from dataward.quality.metrics import Metric
from dataward.quality.rules.base import TableRule

__all__ = ["StandardDeviation"]


class StandardDeviation(TableRule):
    """Standard deviation of the population, sqrt(sum((x - mean)^2) / n), as in Deequ and Glue; nulls are left out."""

    name = "StandardDeviation"
    parameters = (1, 1)

    def metrics(self) -> tuple[Metric, ...]:
        return (Metric("standard_deviation", self.columns, self.statement.where),)
