"""``IsUnique "email"``: no two rows share a value."""

from __future__ import annotations

from datetime import datetime

from dataward.quality.metrics import Metric, Values, identifier
from dataward.quality.rules.base import Key, RowRule, duplicate_flag

__all__ = ["IsUnique"]


class IsUnique(RowRule):
    """Every row whose value (or combination) occurs more than once fails, the first one too.

    Rows in which every column named is null have nothing to share: they pass. The measured share is over all rows.
    """

    name = "IsUnique"
    parameters = (1, None)
    condition = ""

    def unique_keys(self) -> tuple[Key, ...]:
        some = " or ".join(f"{identifier(column)} is not null" for column in self.columns)
        where = self.statement.where
        return (Key(self.columns, f"({some}) and coalesce({where}, false)" if where else f"({some})"),)

    def predicate(self, now: datetime) -> str:
        return f"(not {duplicate_flag(self.unique_keys()[0])})"

    def metrics(self, now: datetime) -> tuple[Metric, ...]:
        key = self.unique_keys()[0]
        return (
            Metric("size", where=self.statement.where),
            Metric("size", where=key.where),
            Metric("uniqueness", key.columns, key.where),
        )

    def failed(self, values: Values, now: datetime) -> int:
        _, with_value, unique = (values[metric] for metric in self.metrics(now))
        return round((with_value or 0) * (1 - unique)) if unique is not None else 0
