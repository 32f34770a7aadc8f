"""``Mean "rating" between 3 and 5``: the arithmetic mean."""

from __future__ import annotations

from dataward.quality.metrics import Metric
from dataward.quality.rules.base import TableRule

__all__ = ["Mean"]


class Mean(TableRule):
    """Mean in the unit of the column; nulls are left out. Only nulls: nothing is measured and the rule fails."""

    name = "Mean"
    parameters = (1, 1)

    def metrics(self) -> tuple[Metric, ...]:
        return (Metric("mean", self.columns, self.statement.where),)
