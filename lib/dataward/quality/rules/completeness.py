"""``Completeness "postcode" > 0.95``: the share of rows whose column is not null."""

from __future__ import annotations

from dataward.quality.metrics import Metric
from dataward.quality.rules.base import TableRule

__all__ = ["Completeness"]


class Completeness(TableRule):
    """Share (0 to 1) of non-null values; an empty string counts as a value. A table without rows has no share."""

    name = "Completeness"
    parameters = (1, 1)

    def metrics(self) -> tuple[Metric, ...]:
        return (Metric("completeness", self.columns, self.statement.where),)
