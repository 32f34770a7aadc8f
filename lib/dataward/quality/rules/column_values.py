"""``ColumnValues "age" between 0 and 120``: every value meets a condition."""

from __future__ import annotations

from datetime import datetime, timedelta

from dataward.quality.metrics import identifier
from dataward.quality.rules.base import RowRule

__all__ = ["ColumnValues"]


class ColumnValues(RowRule):
    """A row fails when its value does not meet the condition.

    Null fails, except for ``!=``, ``not in``, ``not between`` and ``not matches``; NULL as an operand decides it. A
    value that cannot be compared (text against a number) counts as null. ``matches`` looks for the pattern anywhere in
    the value: anchor it with ``^`` and ``$``. Patterns are Java's.
    """

    name = "ColumnValues"
    condition = "value"

    def check(self) -> None:
        super().check()
        said = self.statement.condition
        if said is not None and any(isinstance(operand, timedelta) for operand in said.operands):
            self.refuse("ColumnValues compares values, not durations", "write (now() - 3 days), or use DataFreshness")

    def predicate(self, now: datetime) -> str:
        assert self.statement.condition is not None  # noqa: S101 - held by check()
        return f"({self.statement.condition.sql(identifier(self.columns[0]), now)})"
