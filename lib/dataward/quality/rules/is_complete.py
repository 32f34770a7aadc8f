"""``IsComplete "email"``: every row has a value."""

from __future__ import annotations

from datetime import datetime

from dataward.quality.metrics import identifier
from dataward.quality.rules.base import RowRule

__all__ = ["IsComplete"]


class IsComplete(RowRule):
    """A row fails when its value is null. An empty string is a value."""

    name = "IsComplete"
    condition = ""

    def predicate(self, now: datetime) -> str:
        return f"({identifier(self.columns[0])} is not null)"
