"""``IsPrimaryKey "rec_id"``: every row has a unique value that is not null."""

from __future__ import annotations

from datetime import datetime

from dataward.quality.flags import Duplicate
from dataward.quality.metrics import Metric, Values
from dataward.quality.rules.families import RowRule
from dataward.spark.sql import identifier

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
        """Return the flags that the rule needs."""
        where = self.statement.where
        return (
            Duplicate(self.columns, f"coalesce({where}, false) and {self._complete()}" if where else self._complete()),
        )

    def predicate(self, now: datetime) -> str:
        """Return SQL of the condition that a row must meet, never null."""
        return f"({self._complete()} and not {self.flags()[0].name})"

    def _complete(self) -> str:
        return "(" + " and ".join(f"{identifier(column)} is not null" for column in self.columns) + ")"

    def metrics(self, now: datetime) -> tuple[Metric, ...]:
        """Return the metrics that the rule needs."""
        among = self.flags()[0].where
        # The uniqueness of one column ignores nulls anyway: the same metric as that of IsUnique is measured only once.
        unique = Metric("uniqueness", self.columns, among if len(self.columns) > 1 else self.statement.where)
        return Metric("size", where=self.applies(now)), Metric("size", where=among), unique

    def failed(self, values: Values, now: datetime) -> int:
        """Return the number of rows that fail."""
        rows, complete, unique = (values[metric] or 0 for metric in self.metrics(now))
        return round(rows - complete * unique)
