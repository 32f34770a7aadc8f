"""``IsUnique "email"``: no two rows share a value."""

from __future__ import annotations

from datetime import datetime

from dataward.quality.flags import Duplicate
from dataward.quality.metrics import Metric
from dataward.quality.rules.families import RowRule
from dataward.spark.sql import identifier

__all__ = ["IsUnique"]


class IsUnique(RowRule):
    """Every row whose value (or combination) occurs more than once fails, the first one too.

    Rows in which all these columns are null are skipped.

    Example::

        IsUnique "mail"                        # 0.5, FAILED
        IsUnique "id" "mail"                   # 1, PASSED
    """

    name = "IsUnique"
    parameters = (1, None)
    condition = ""

    def speaks_of(self) -> str:
        """Return SQL of the condition under which a row is evaluated."""
        return "(" + " or ".join(f"{identifier(column)} is not null" for column in self.columns) + ")"

    def flags(self) -> tuple[Duplicate, ...]:
        """Return the flags that the rule needs."""
        where = self.statement.where
        among = f"coalesce({where}, false) and {self.speaks_of()}" if where else self.speaks_of()
        return (Duplicate(self.columns, among),)

    def predicate(self, now: datetime) -> str:
        """Return SQL of the condition that a row must meet, never null."""
        return f"(not {self.flags()[0].name})"

    def metrics(self, now: datetime) -> tuple[Metric, ...]:
        """Return the metrics that the rule needs."""
        # Uniqueness ignores keys of nulls anyway: the same metric as that of the rule Uniqueness is measured only once.
        return Metric("size", where=self.applies(now)), Metric("uniqueness", self.columns, self.statement.where)
