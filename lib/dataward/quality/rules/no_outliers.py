"""``NoOutliers "dep_delay" with method = "mad"``: every number is within the fences of its column."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from dataward.quality.flags import Flag, Outlying
from dataward.quality.rules.families import RowRule
from dataward.quality.spread import FACTORS, Fences
from dataward.spark.sql import identifier

__all__ = ["NoOutliers"]


class NoOutliers(RowRule):
    """A row fails when its number is outside of fences that are computed from the whole column; NULL is skipped, NaN fails.

    Dataward's own rule. ``with method = "iqr"`` (the default: Tukey's fences, ``factor`` 1.5), ``"zscore"`` (mean and standard
    deviation, 3) or ``"mad"`` (the modified z-score, 3.5); ``with factor = 2``; ``with per = "carrier"`` gives every group its own
    fences; ``with skewed = "yes"`` adapts Tukey's fences to the skew. Columns with fewer than four numbers have no fences.

    Example::

        NoOutliers "score"                     # 1, PASSED
        NoOutliers "age" with method = "mad" with factor = 1    # 0.75, FAILED
    """

    name = "NoOutliers"
    condition = ""
    takes_where = False
    tags = frozenset({"threshold", "method", "factor", "per", "skewed"})

    ours = True

    def check(self) -> None:
        """Validate the statement."""
        super().check()
        self.check_settings("per")
        method, factor = self._setting("method", "iqr"), self._setting("factor", Decimal(1))
        if method not in FACTORS:
            self.refuse(f"method '{method}' is unknown", f"use {', '.join(FACTORS)}")
        if not isinstance(factor, Decimal) or factor <= 0:
            self.refuse(f"factor {factor} is no positive number", "e.g. with factor = 3")
        if self._setting("skewed", "no") not in ("yes", "no"):
            self.refuse('\'skewed\' is "yes" or "no"', 'e.g. with skewed = "yes"')
        if self._setting("skewed", "no") == "yes" and method != "iqr":
            self.refuse("'skewed' goes with method iqr", "remove one of the two")

    def _setting(self, tag: str, default: Any) -> Any:
        condition = dict(self.statement.tags).get(tag)
        return condition.operands[0] if condition else default

    @property
    def fences(self) -> Fences:
        """Fences of the column."""
        factor = self._setting("factor", None)
        per = dict(self.statement.tags).get("per")
        groups = tuple(map(str, per.operands)) if per else ()
        skewed = self._setting("skewed", "no") == "yes"
        number = float(factor) if factor is not None else None
        return Fences(self.statement.parameters[0], self._setting("method", "iqr"), number, groups, skewed)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the source that the rule reads."""
        return (self.fences.column, *self.fences.per)

    @property
    def offending(self) -> tuple[str, ...]:
        """Columns that a failed row is reported with."""
        return self.statement.parameters

    def flags(self) -> tuple[Flag, ...]:
        """Return the flags that the rule needs."""
        return (Outlying(self.fences),)

    def predicate(self, now: datetime) -> str:
        """Return SQL of the condition that a row must meet, never null."""
        return f"(not {self.flags()[0].name})"

    def speaks_of(self) -> str:
        """Return SQL of the condition under which a row is evaluated."""
        return f"{identifier(self.fences.column)} is not null"
