"""``DistinctValuesCount "state" = 8``: the number of distinct values."""

from __future__ import annotations

from dataward.quality.metrics import Metric
from dataward.quality.rules.base import TableRule

__all__ = ["DistinctValuesCount"]


class DistinctValuesCount(TableRule):
    """Exact count of distinct values; nulls are left out."""

    name = "DistinctValuesCount"
    parameters = (1, 1)

    def metrics(self) -> tuple[Metric, ...]:
        return (Metric("distinct_count", self.columns, self.statement.where),)
