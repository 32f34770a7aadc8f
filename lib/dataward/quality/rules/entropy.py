"""``Entropy "state" > 1``: how evenly the values are spread."""

from __future__ import annotations

from dataward.quality.metrics import Metric
from dataward.quality.rules.base import TableRule

__all__ = ["Entropy"]


class Entropy(TableRule):
    """Shannon entropy in nats, -sum(p * ln p) over the shares p of the distinct values; nulls are left out."""

    name = "Entropy"
    parameters = (1, 1)

    def metrics(self) -> tuple[Metric, ...]:
        return (Metric("entropy", self.columns, self.statement.where),)
