"""``DataFreshness "loaded_at" <= 24 hours``: every row is recent enough."""

from __future__ import annotations

from datetime import datetime, timedelta

from dataward.quality.rules.families import RowRule
from dataward.spark.compare import Value
from dataward.spark.sql import identifier

__all__ = ["DataFreshness"]


class DataFreshness(RowRule):
    """Age of a date or timestamp (UTC), to the second, at the moment when the source was pinned.

    Null fails, as in Glue, and so does a text that is no timestamp.

    Example::

        DataFreshness "at" <= 24 hours         # 0.4, FAILED
    """

    name = "DataFreshness"
    condition = "duration"

    def check(self) -> None:
        """Validate the statement."""
        super().check()
        condition = self.statement.condition
        if condition is None or not all(isinstance(operand, timedelta) for operand in condition.operands):
            self.refuse("DataFreshness compares with durations", "write, for example, <= 24 hours or <= 3 days")

    def predicate(self, now: datetime) -> str:
        """Return SQL of the condition that a row must meet, never null."""
        assert self.statement.condition is not None  # noqa: S101 - check() ensures it
        column = identifier(self.columns[0])
        pinned = f"cast(timestamp'{now.strftime('%Y-%m-%d %H:%M:%S')}' as bigint)"
        age = f"({pinned} - cast(try_cast({column} as timestamp) as bigint))"
        return f"({age} is not null and {self.statement.condition.sql(Value(age, 'bigint'), now)})"
