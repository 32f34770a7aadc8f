"""``ColumnLength "postcode" = 4``: every value is as long as it should be."""

from __future__ import annotations

from datetime import datetime

from dataward.quality.rules.base import RowRule
from dataward.sql import identifier

__all__ = ["ColumnLength"]


class ColumnLength(RowRule):
    """Length in characters; null counts as length 0, as in Glue.

    Example::

        ColumnLength "mail" > 5                # 0.6, FAILED
    """

    name = "ColumnLength"

    def predicate(self, now: datetime) -> str:
        assert self.statement.condition is not None  # noqa: S101 - held by check()
        return f"({self.statement.condition.sql(self._length(), now)})"

    def test(self, now: datetime) -> tuple[str, bool]:
        assert self.statement.condition is not None  # noqa: S101 - held by check()
        return self.statement.condition.test(self._length(), now)

    def _length(self) -> str:
        return f"coalesce(length(cast({identifier(self.columns[0])} as string)), 0)"
