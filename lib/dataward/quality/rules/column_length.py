"""``ColumnLength "postcode" = 4``: the length of every value meets a condition."""

from __future__ import annotations

from dataward.quality.rules.families import ValueRule
from dataward.spark.compare import Value
from dataward.spark.sql import identifier

__all__ = ["ColumnLength"]


class ColumnLength(ValueRule):
    """Length in characters; null counts as length 0, as in Glue.

    Example::

        ColumnLength "mail" > 5                # 0.6, FAILED
    """

    name = "ColumnLength"

    def value(self) -> Value:
        """Return the compared value."""
        return Value(f"coalesce(length(cast({identifier(self.columns[0])} as string)), 0)", "int")
