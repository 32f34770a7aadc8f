"""``ColumnValues "age" between 0 and 120``: every value meets a condition."""

from __future__ import annotations

from datetime import datetime, timedelta

from dataward.quality.conditions import Size
from dataward.quality.rules.base import RowRule
from dataward.sql import identifier

__all__ = ["ColumnValues"]


class ColumnValues(RowRule):
    """A row fails when its value does not meet the condition.

    Null fails, except for ``!=``, ``not in``, ``not between`` and ``not matches``; NULL as an operand decides it. A
    value that cannot be compared (text against a number) counts as null. NaN is larger than every number, as in Spark.
    ``matches`` looks for the pattern anywhere in the value: anchor it with ``^`` and ``$``. Patterns are Java's.

    Example::

        ColumnValues "age" > 20                # 0.6, FAILED
        ColumnValues "age" in [41, 12, 30, NULL] # 1, PASSED
        ColumnValues "at" > (now() - 3 days) with threshold > 0.5 # 0.6, PASSED
    """

    name = "ColumnValues"
    condition = "value"

    def check(self) -> None:
        super().check()
        said = self.statement.condition
        if said is not None and any(isinstance(operand, timedelta | Size) for operand in said.operands):
            self.refuse(
                "ColumnValues compares values, not durations or sizes", "write (now() - 3 days), or use DataFreshness"
            )

    def predicate(self, now: datetime) -> str:
        assert self.statement.condition is not None  # noqa: S101 - held by check()
        return f"({self.statement.condition.sql(identifier(self.columns[0]), now)})"

    def test(self, now: datetime) -> tuple[str, bool]:
        assert self.statement.condition is not None  # noqa: S101 - held by check()
        return self.statement.condition.test(identifier(self.columns[0]), now)
