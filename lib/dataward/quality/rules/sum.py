"""``Sum "amount" > 500``: the sum of a column."""

from __future__ import annotations

from dataward.quality.metrics import Metric
from dataward.quality.rules.base import TableRule

__all__ = ["Sum"]


class Sum(TableRule):
    """Sum in the unit of the column; nulls are left out. Only nulls: nothing is measured and the rule fails."""

    name = "Sum"
    parameters = (1, 1)

    def metrics(self) -> tuple[Metric, ...]:
        return (Metric("sum", self.columns, self.statement.where),)
