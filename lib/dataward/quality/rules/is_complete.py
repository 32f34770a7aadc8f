"""``IsComplete "email"``: every row has a value."""

from __future__ import annotations

from datetime import datetime

from dataward.quality.rules.families import RowRule
from dataward.spark.sql import identifier

__all__ = ["IsComplete"]


class IsComplete(RowRule):
    """A row fails when its value is null. An empty string is a value.

    Example::

        IsComplete "mail"                      # 0.8, FAILED
        IsComplete "mail" with threshold > 0.7 # 0.8, PASSED
    """

    name = "IsComplete"
    condition = ""

    def predicate(self, now: datetime) -> str:
        """Return SQL of the condition that a row must meet, never null."""
        return f"({identifier(self.columns[0])} is not null)"
