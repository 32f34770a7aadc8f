"""``NoOutliers "dep_delay" with method = "mad"``: every number lies within the fences of its column."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from dataward.quality.flags import Flag, Outlying
from dataward.quality.rules.base import RowRule
from dataward.quality.spread import FACTORS, Fences
from dataward.sql import identifier

__all__ = ["NoOutliers"]


class NoOutliers(RowRule):
    """The number lies within fences worked out from the whole column; NULL is not judged, NaN lies beyond.

    Dataward's own rule. ``with method = "iqr"`` (the default: Tukey's fences, ``factor`` 1.5), ``"zscore"`` (mean and standard
    deviation, 3) or ``"mad"`` (the modified z-score, 3.5); ``with factor = 2``; ``with per = "carrier"`` gives every group fences of
    its own; ``with skewed = "yes"`` lets Tukey's follow the skew. Columns with fewer than four numbers have no fences.

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
        super().check()
        self.check_settings("per")
        method, factor = self._said("method", "iqr"), self._said("factor", Decimal(1))
        if method not in FACTORS:
            self.refuse(f"method '{method}' is unknown", f"use {', '.join(FACTORS)}")
        if not isinstance(factor, Decimal) or factor <= 0:
            self.refuse(f"factor {factor} is no positive number", "e.g. with factor = 3")
        if self._said("skewed", "no") not in ("yes", "no"):
            self.refuse('\'skewed\' is "yes" or "no"', 'e.g. with skewed = "yes"')
        if self._said("skewed", "no") == "yes" and method != "iqr":
            self.refuse("'skewed' goes with method iqr", "remove one of the two")

    def _said(self, tag: str, default: Any) -> Any:
        condition = dict(self.statement.tags).get(tag)
        return condition.operands[0] if condition else default

    @property
    def fences(self) -> Fences:
        factor = self._said("factor", None)
        per = dict(self.statement.tags).get("per")
        groups = tuple(map(str, per.operands)) if per else ()
        skewed = self._said("skewed", "no") == "yes"
        number = float(factor) if factor is not None else None
        return Fences(self.statement.parameters[0], self._said("method", "iqr"), number, groups, skewed)

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.fences.column, *self.fences.per)

    @property
    def offending(self) -> tuple[str, ...]:
        return self.statement.parameters

    def flags(self) -> tuple[Flag, ...]:
        return (Outlying(self.fences),)

    def predicate(self, now: datetime) -> str:
        return f"(not {self.flags()[0].name})"

    def speaks_of(self) -> str:
        return f"{identifier(self.fences.column)} is not null"
