"""``ColumnValues "age" between 0 and 120``: every value meets a condition."""

from __future__ import annotations

from datetime import timedelta

from dataward.quality.conditions import Size
from dataward.quality.rules.families import ValueRule
from dataward.spark.compare import Value
from dataward.spark.sql import identifier

__all__ = ["ColumnValues"]


class ColumnValues(ValueRule):
    """A row fails when its value does not meet the condition.

    Null fails, except for ``!=``, ``not in``, ``not between`` and ``not matches``; NULL as an operand decides it. A
    literal is compared as the exact number, date or timestamp that it is; of a float or double column, as the nearest number of
    the column's type. Text is read as a number beside a number: one that holds none fails, whatever the operator. NaN is
    larger than every number, as in Spark, and -0.0 equals 0.0. ``matches`` looks for the pattern anywhere in the value: anchor it
    with ``^`` and ``$``. Patterns are Java's.

    Example::

        ColumnValues "age" > 20                # 0.6, FAILED
        ColumnValues "age" in [41, 12, 30, NULL] # 1, PASSED
        ColumnValues "at" > (now() - 3 days) with threshold > 0.5 # 0.6, PASSED
    """

    name = "ColumnValues"
    condition = "value"

    def check(self) -> None:
        """Validate the statement."""
        super().check()
        condition = self.statement.condition
        if condition is not None and any(isinstance(operand, timedelta | Size) for operand in condition.operands):
            self.refuse(
                "ColumnValues compares values, not durations or sizes", "write (now() - 3 days), or use DataFreshness"
            )

    def value(self) -> Value:
        """Return the compared value."""
        name = self.columns[0]
        assert self.types is not None, "how values are compared depends on types: call typed() first"  # noqa: S101
        return Value(identifier(name), self.types.get(name.lower(), ""))
