"""``CustomSql "select count(*) from primary where total < 0" = 0``: one number from a query."""

from __future__ import annotations

from dataward.quality.metrics import Metric, Values
from dataward.quality.rules.base import TableRule

__all__ = ["CustomSql"]


class CustomSql(TableRule):
    """A query that gives one number; the pinned source is the view ``primary``. It costs one Spark job of its own.

    Only queries run: the text is placed where SQL admits nothing else. A query that fails, or gives anything but one
    number, is ERRORED and stops the run.
    """

    name = "CustomSql"
    takes_where = False

    @property
    def columns(self) -> tuple[str, ...]:
        return ()

    @property
    def query(self) -> str:
        return self.statement.parameters[0].strip().rstrip(";")

    def metrics(self) -> tuple[Metric, ...]:
        return ()

    def measure(self, values: Values) -> float | None:
        return None
