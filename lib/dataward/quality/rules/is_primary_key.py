"""``IsPrimaryKey "rec_id"``: every row has a value of its own."""

from __future__ import annotations

from datetime import datetime

from dataward.quality.flags import Duplicate
from dataward.quality.metrics import Metric, Values
from dataward.quality.rules.base import RowRule
from dataward.sql import identifier

__all__ = ["IsPrimaryKey"]


class IsPrimaryKey(RowRule):
    """A row fails when any column of the key is null, or when another row has the same key.

    Example::

        IsPrimaryKey "mail"                    # 0.4, FAILED
        IsPrimaryKey "id" where "id < 4"       # 1, PASSED
    """

    name = "IsPrimaryKey"
    parameters = (1, None)
    condition = ""

    def flags(self) -> tuple[Duplicate, ...]:
        where = self.statement.where
        return (
            Duplicate(self.columns, f"coalesce({where}, false) and {self._complete()}" if where else self._complete()),
        )

    def predicate(self, now: datetime) -> str:
        return f"({self._complete()} and not {self.flags()[0].name})"

    def _complete(self) -> str:
        return "(" + " and ".join(f"{identifier(column)} is not null" for column in self.columns) + ")"

    def metrics(self, now: datetime) -> tuple[Metric, ...]:
        among = self.flags()[0].where
        # Of one column, uniqueness leaves nulls out by itself: said as IsUnique says it, it is measured once.
        unique = Metric("uniqueness", self.columns, among if len(self.columns) > 1 else self.statement.where)
        return Metric("size", where=self.applies(now)), Metric("size", where=among), unique

    def failed(self, values: Values, now: datetime) -> int:
        rows, complete, unique = (values[metric] or 0 for metric in self.metrics(now))
        return round(rows - complete * unique)
