"""``IsUnique "email"``: no two rows share a value."""

from __future__ import annotations

from datetime import datetime

from dataward.quality.flags import Duplicate
from dataward.quality.metrics import Metric
from dataward.quality.rules.base import RowRule
from dataward.sql import identifier

__all__ = ["IsUnique"]


class IsUnique(RowRule):
    """Every row whose value (or combination) occurs more than once fails, the first one too.

    Rows in which every column named is null have nothing to share: they are skipped.

    Example::

        IsUnique "mail"                        # 0.5, FAILED
        IsUnique "id" "mail"                   # 1, PASSED
    """

    name = "IsUnique"
    parameters = (1, None)
    condition = ""

    def speaks_of(self) -> str:
        return "(" + " or ".join(f"{identifier(column)} is not null" for column in self.columns) + ")"

    def flags(self) -> tuple[Duplicate, ...]:
        where = self.statement.where
        among = f"coalesce({where}, false) and {self.speaks_of()}" if where else self.speaks_of()
        return (Duplicate(self.columns, among),)

    def predicate(self, now: datetime) -> str:
        return f"(not {self.flags()[0].name})"

    def metrics(self, now: datetime) -> tuple[Metric, ...]:
        # Uniqueness leaves wholly null keys out by itself: said as the rule Uniqueness says it, it is measured once.
        return Metric("size", where=self.applies(now)), Metric("uniqueness", self.columns, self.statement.where)
