"""``ColumnExists "email"``: the column is there."""

from __future__ import annotations

from collections.abc import Iterable

from dataward.quality.metrics import Metric, Values
from dataward.quality.rules.base import TableRule

__all__ = ["ColumnExists"]


class ColumnExists(TableRule):
    """1 when the source has the column, else 0. Names are compared without case, as Spark does. Reads no data."""

    name = "ColumnExists"
    condition = ""
    takes_where = False

    @property
    def columns(self) -> tuple[str, ...]:
        return ()  # its absence is a verdict, not a mistake in the contract

    def metrics(self) -> tuple[Metric, ...]:
        return ()

    def measure(self, values: Values) -> float | None:
        return None

    def found_in(self, names: Iterable[str]) -> float:
        return float(self.statement.parameters[0].lower() in {name.lower() for name in names})

    def passes(self, measured: float) -> bool:
        return measured == 1.0
