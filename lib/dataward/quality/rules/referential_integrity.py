"""``ReferentialIntegrity "tailnum" "planes.tailnum" = 1``: every key is found in another table."""

from __future__ import annotations

import re
from datetime import datetime

from dataward.quality.flags import Orphan
from dataward.quality.metrics import Metric, Values
from dataward.quality.rules.base import SHARE
from dataward.quality.rules.families import TableRule
from dataward.spark.sql import identifier

__all__ = ["ReferentialIntegrity"]

SYNTAX = re.compile(r"([A-Za-z_]\w*)\.(?:\{(.+)\}|([^{},]+))")


class ReferentialIntegrity(TableRule):
    """Share of rows whose key (one column, or ``"a,b"`` and ``"reference.{x,y}"``) is found in a reference.

    A row in which any column of the key is null is skipped, as in SQL's foreign keys. Keys of different types are compared exactly,
    as decimals; text is read as a number (2, "02" and "2.0" are equal), and text that is no number is not found. Compared with dates
    and timestamps, text is read as a timestamp. Other types are refused.

    Example::

        ReferentialIntegrity "id" "reference.id" >= 0.9 # 1, PASSED
        ReferentialIntegrity "id,age" "reference.{id,age}" = 1 # 0.75, FAILED
    """

    name = "ReferentialIntegrity"
    span = SHARE
    parameters = (2, 2)

    def check(self) -> None:
        """Validate the statement."""
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
        """Columns of the source that the rule reads."""
        return tuple(name.strip() for name in self.statement.parameters[0].split(","))

    @property
    def aliases(self) -> tuple[str, ...]:
        """References that the rule reads."""
        return (self._match()[1],)

    def _match(self) -> re.Match[str]:
        match = SYNTAX.fullmatch(self.statement.parameters[1])
        assert match is not None  # noqa: S101 - check() ensures it
        return match

    def _named(self) -> tuple[str, ...]:
        return tuple(name.strip() for name in (self._match()[2] or self._match()[3]).split(","))

    def reference_columns(self) -> dict[str, tuple[str, ...]]:
        """Return the columns of each reference that the rule reads."""
        return {self.aliases[0]: self._named()}

    def flags(self) -> tuple[Orphan, ...]:
        """Return the flags that the rule needs."""
        return (Orphan(self.columns, self.aliases[0], self._named()),)

    def metrics(self, now: datetime) -> tuple[Metric, ...]:
        """Return the metrics that the rule needs."""
        complete = "(" + " and ".join(f"{identifier(column)} is not null" for column in self.columns) + ")"
        among = f"coalesce({self.statement.where}, false) and {complete}" if self.statement.where else complete
        return Metric("compliance", self.columns, among, f"not {self.flags()[0].name}"), Metric("size", where=among)

    def detail(self, values: Values, now: datetime) -> str:
        """Return further text of the verdict."""
        share, rows = (values[metric] for metric in self.metrics(now))
        return (
            f"{round((1 - share) * (rows or 0)):,} of {rows:,.0f} rows have no match" if share not in (None, 1) else ""
        )
