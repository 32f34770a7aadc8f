"""``DetectAnomalies "RowCount"``: a table rule's number is within the band that earlier runs predict."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

from dataward.errors import did_you_mean
from dataward.quality.anomalies import FACTORS, METHODS, Band, Method, expected
from dataward.quality.conditions import Condition
from dataward.quality.metrics import Metric, Values
from dataward.quality.past import Past, TooShort
from dataward.quality.rules.base import Rule, RuleError, Statement
from dataward.quality.rules.column_correlation import ColumnCorrelation
from dataward.quality.rules.completeness import Completeness
from dataward.quality.rules.distinct_values_count import DistinctValuesCount
from dataward.quality.rules.entropy import Entropy
from dataward.quality.rules.families import TableRule
from dataward.quality.rules.mean import Mean
from dataward.quality.rules.row_count import RowCount
from dataward.quality.rules.standard_deviation import StandardDeviation
from dataward.quality.rules.sum import Sum
from dataward.quality.rules.unique_value_ratio import UniqueValueRatio
from dataward.quality.rules.uniqueness import Uniqueness

__all__ = ["DetectAnomalies"]

WATCHED: dict[str, type[TableRule]] = {
    kind.name: kind
    for kind in (
        ColumnCorrelation,
        Completeness,
        DistinctValuesCount,
        Entropy,
        Mean,
        RowCount,
        StandardDeviation,
        Sum,
        UniqueValueRatio,
        Uniqueness,
    )
}
ANYTHING = Condition(">=", (Decimal(0),))


class _Within(Condition):
    """A band with its ends included, unlike ``between``."""

    def holds(self, value: float | Decimal) -> bool:
        """Return whether a number is within the band."""
        low, high = self.numbers
        return low <= value <= high

    def __str__(self) -> str:
        """Return the band as text."""
        return " to ".join(f"{end:,.6g}" for end in self.numbers)


@dataclass(frozen=True)
class DetectAnomalies(TableRule):
    """The number of the named rule, with its columns, is within the band that the history of runs predicts.

    Needs ``history`` in the contract. With fewer than 7 runs (some methods need another number) the rule is SKIPPED. Beyond Glue:
    ``with method = "robust"``, ``"trend"``, ``"seasonal"``, ``"normal"``, ``"relative"`` or ``"absolute"`` instead of an automatic
    choice; ``with factor = 3`` for the width of the band; ``with period = 7`` for the runs in a season.

    Example::

        DetectAnomalies "RowCount"             # 5, SKIPPED
        DetectAnomalies "Completeness" "mail" with method = "absolute" with factor = 0.1 # 0.8, SKIPPED
    """

    band: Band | None = None

    name = "DetectAnomalies"
    parameters = (1, None)
    condition = ""
    tags = frozenset({"method", "factor", "period"})

    def check(self) -> None:
        """Validate the statement."""
        super().check()
        self.check_settings()
        watched, method = self.statement.parameters[0], self._setting("method", "auto")
        if watched not in WATCHED:
            self.refuse(
                f"anomalies of '{watched}' cannot be detected",
                did_you_mean(watched, WATCHED) or f"there are {', '.join(WATCHED)}",
            )
        if method not in METHODS:
            self.refuse(
                f"method '{method}' is unknown", did_you_mean(str(method), METHODS) or f"use {', '.join(METHODS)}"
            )
        factor, period = self._setting("factor", FACTORS[method]), self._setting("period", None)
        if factor is None:
            self.refuse(f"method {method} needs a factor", "e.g. with factor = 0.2")
        if isinstance(factor, str) or factor <= 0:
            self.refuse(f"factor {factor} is no positive number", "e.g. with factor = 4")
        if period is not None and (isinstance(period, str) or period != int(period) or period < 2):
            self.refuse(f"period {period} is no number of runs", "e.g. with period = 7")
        try:
            _ = self.watched
        except RuleError as error:
            self.refuse(error.what, f'e.g. DetectAnomalies "{watched}" "column"')

    def _setting(self, tag: str, default: Any) -> Any:
        condition = self.statement.tag(tag)
        return condition.operands[0] if condition else default

    @property
    def watched(self) -> TableRule:
        """The rule whose number is checked."""
        name, *columns = self.statement.parameters
        statement = Statement(name, tuple(columns), ANYTHING, self.statement.where, line=self.statement.line)
        return WATCHED[name](statement)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the watched rule."""
        return self.watched.columns

    @property
    def series(self) -> str:
        """Series of the watched rule."""
        return self.watched.series

    @property
    def asks_past(self) -> bool:
        """True: the band comes from earlier runs."""
        return True

    def metrics(self, now: datetime) -> tuple[Metric, ...]:
        """Return the metrics of the watched rule."""
        return self.watched.metrics(now)

    def measure(self, values: Values, now: datetime) -> float | None:
        """Return the number of the watched rule."""
        return self.watched.measure(values, now)

    def recalled(self, past: Past, now: datetime) -> Rule:
        """Return the rule with the band from earlier runs, or with the runs that it ``awaits``."""
        factor, period = self._setting("factor", None), self._setting("period", None)
        try:
            band = expected(
                past.points(self.series),
                now,
                cast(Method, self._setting("method", "auto")),
                float(factor) if factor is not None else None,
                int(period) if period is not None else None,
            )
        except TooShort as short:
            return replace(self, awaits=str(short))
        return replace(self, band=band)

    def bound(self) -> Condition:
        """Return the band that the number must be in."""
        if self.band is None:
            return ANYTHING
        return _Within("between", (Decimal(repr(self.band.low)), Decimal(repr(self.band.high))))

    def detail(self, values: Values, now: datetime) -> str:
        """Return the expected band as text."""
        return f"expected {self.band}" if self.band else ""
