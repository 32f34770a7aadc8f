"""``IsPrimaryKey "rec_id"``: every row has a value of its own."""

from __future__ import annotations

from datetime import datetime

from dataward.quality.metrics import Metric, Values, identifier
from dataward.quality.rules.base import Key, RowRule, duplicate_flag

__all__ = ["IsPrimaryKey"]


class IsPrimaryKey(RowRule):
    """A row fails when any column of the key is null, or when another row has the same key."""

    name = "IsPrimaryKey"
    parameters = (1, None)
    condition = ""

    def unique_keys(self) -> tuple[Key, ...]:
        where = self.statement.where
        complete = self._complete()
        return (Key(self.columns, f"{complete} and coalesce({where}, false)" if where else complete),)

    def predicate(self, now: datetime) -> str:
        return f"({self._complete()} and not {duplicate_flag(self.unique_keys()[0])})"

    def _complete(self) -> str:
        return "(" + " and ".join(f"{identifier(column)} is not null" for column in self.columns) + ")"

    def metrics(self, now: datetime) -> tuple[Metric, ...]:
        key = self.unique_keys()[0]
        return (
            Metric("size", where=self.statement.where),
            Metric("size", where=key.where),
            Metric("uniqueness", key.columns, key.where),
        )

    def failed(self, values: Values, now: datetime) -> int:
        rows, complete, unique = (values[metric] or 0 for metric in self.metrics(now))
        return round(rows - complete * unique)
