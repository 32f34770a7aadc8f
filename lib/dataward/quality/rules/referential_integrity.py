"""``ReferentialIntegrity "tailnum" "planes.tailnum" = 1``: every key is found in another table."""

from __future__ import annotations

import re
from datetime import datetime

from dataward.quality.flags import Orphan
from dataward.quality.metrics import Metric, Values
from dataward.quality.rules.base import SHARE, TableRule
from dataward.sql import identifier

__all__ = ["ReferentialIntegrity"]

SYNTAX = re.compile(r"([A-Za-z_]\w*)\.(?:\{(.+)\}|([^{},]+))")


class ReferentialIntegrity(TableRule):
    """Share of rows whose key (one column, or ``"a,b"`` and ``"reference.{x,y}"``) is found in a reference.

    A row in which any column of the key is null has no key: it is left out, as in SQL's foreign keys. Keys of two types are
    compared exactly, as decimals, and text is read as a number (2, "02" and "2.0" are one key); text that holds none is not found.
    Beside dates and timestamps text is read as a timestamp. Other types are refused.

    Example::

        ReferentialIntegrity "id" "reference.id" >= 0.9 # 1, PASSED
        ReferentialIntegrity "id,age" "reference.{id,age}" = 1 # 0.75, FAILED
    """

    name = "ReferentialIntegrity"
    span = SHARE
    parameters = (2, 2)

    def check(self) -> None:
        super().check()
        if not SYNTAX.fullmatch(self.statement.parameters[1]):
            remedy = 'write "alias.column" or "alias.{column,column}"'
            self.refuse(f"'{self.statement.parameters[1]}' names no columns of a reference", remedy)
        if len(self.columns) != len(self._named()):
            self.refuse(
                "both sides need the same number of columns", f"{len(self.columns)} against {len(self._named())}"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(name.strip() for name in self.statement.parameters[0].split(","))

    @property
    def aliases(self) -> tuple[str, ...]:
        return (self._match()[1],)

    def _match(self) -> re.Match[str]:
        found = SYNTAX.fullmatch(self.statement.parameters[1])
        assert found is not None  # noqa: S101 - held by check()
        return found

    def _named(self) -> tuple[str, ...]:
        return tuple(name.strip() for name in (self._match()[2] or self._match()[3]).split(","))

    def reference_columns(self) -> dict[str, tuple[str, ...]]:
        return {self.aliases[0]: self._named()}

    def flags(self) -> tuple[Orphan, ...]:
        return (Orphan(self.columns, self.aliases[0], self._named()),)

    def metrics(self, now: datetime) -> tuple[Metric, ...]:
        complete = "(" + " and ".join(f"{identifier(column)} is not null" for column in self.columns) + ")"
        among = f"coalesce({self.statement.where}, false) and {complete}" if self.statement.where else complete
        return Metric("compliance", self.columns, among, f"not {self.flags()[0].name}"), Metric("size", where=among)

    def told(self, values: Values, now: datetime) -> str:
        share, rows = (values[metric] for metric in self.metrics(now))
        return (
            f"{round((1 - share) * (rows or 0)):,} of {rows:,.0f} rows have no match" if share not in (None, 1) else ""
        )
