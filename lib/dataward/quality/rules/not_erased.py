"""``NotErased``: a rule that a table adds once it has forgotten somebody."""

from __future__ import annotations

from datetime import datetime

from dataward.quality.rules.base import Statement
from dataward.quality.rules.families import RowRule
from dataward.spark.sql import identifier

__all__ = ["NotErased"]


class NotErased(RowRule):
    """A row fails when it is about a person whom the table was asked to forget."""

    name = "NotErased"
    parameters = (2, 2)
    condition = ""

    @classmethod
    def of(cls, flag: str, subject: str) -> NotErased:
        """Make the rule; ``flag`` is a column that is true for rows of erased people, ``subject`` the column that identifies a person."""
        return cls(Statement("NotErased", (flag, subject), text="subject was not erased"))

    @property
    def offending(self) -> tuple[str, ...]:
        """Columns that a failed row is reported with."""
        return self.columns[1:]

    def predicate(self, now: datetime) -> str:
        """Return SQL of the condition that a row must meet, never null."""
        return f"(not {identifier(self.columns[0])})"
