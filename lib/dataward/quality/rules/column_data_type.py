"""``ColumnDataType "age" = "Integer"``: every value can be read as a type."""

from __future__ import annotations

from datetime import datetime

from dataward.quality.rules.families import RowRule
from dataward.spark.sql import identifier

__all__ = ["ColumnDataType"]

EXACT = "decimal(38,18)"
TYPES = ("boolean", "date", "timestamp", "integer", "double", "float", "long")


class ColumnDataType(RowRule):
    """A row fails when Spark cannot cast its value to the type, or would cut off a fraction (1.9 is no Integer).

    Null is skipped; IsComplete checks completeness.

    Types: Boolean, Date, Timestamp, Integer, Double, Float, Long, in any case.

    Example::

        ColumnDataType "raw" = "Date"          # 0.25, FAILED
        ColumnDataType "age" = "Integer"       # 1, PASSED
    """

    name = "ColumnDataType"
    condition = "type"

    def check(self) -> None:
        """Validate the statement."""
        super().check()
        condition = self.statement.condition
        if condition is None or condition.operator != "=" or str(condition.operands[0]).lower() not in TYPES:
            self.refuse("ColumnDataType compares with a type", f'use = "..." with one of {", ".join(TYPES)}')

    def speaks_of(self) -> str:
        """Return SQL of the condition under which a row is evaluated."""
        return f"{identifier(self.columns[0])} is not null"

    def predicate(self, now: datetime) -> str:
        """Return SQL of the condition that a row must meet, never null."""
        assert self.statement.condition is not None  # noqa: S101 - check() ensures it
        wanted = str(self.statement.condition.operands[0]).lower()
        column = identifier(self.columns[0])
        if wanted in ("integer", "long"):
            return f"(coalesce(try_cast({column} as {wanted}) = try_cast({column} as {EXACT}), false))"
        return f"(try_cast({column} as {wanted}) is not null)"
