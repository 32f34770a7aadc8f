"""``DetectAnomalies "RowCount"``: a table rule's number lies where earlier runs let one expect it."""

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
from dataward.quality.rules.base import Rule, RuleError, Statement, TableRule
from dataward.quality.rules.column_correlation import ColumnCorrelation
from dataward.quality.rules.completeness import Completeness
from dataward.quality.rules.distinct_values_count import DistinctValuesCount
from dataward.quality.rules.entropy import Entropy
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
    """A band, its ends included; ``between`` leaves them out."""

    def holds(self, value: float | Decimal) -> bool:
        low, high = self.numbers
        return low <= value <= high

    def __str__(self) -> str:
        return " to ".join(f"{end:,.6g}" for end in self.numbers)


@dataclass(frozen=True)
class DetectAnomalies(TableRule):
    """The number of the rule that it names, with its columns, lies within the band that the history of runs gives.

    Needs ``history`` in the contract. While that is short (fewer than 7 runs; other methods say what they need) it is SKIPPED, not
    judged. Beyond Glue: ``with method = "robust"``, ``"trend"``, ``"seasonal"``, ``"normal"``, ``"relative"`` or ``"absolute"`` instead
    of choosing itself; ``with factor = 3`` for the width of the band; ``with period = 7`` for the runs in a season.

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
        super().check()
        self.check_settings()
        watched, method = self.statement.parameters[0], self._said("method", "auto")
        if watched not in WATCHED:
            self.refuse(
                f"no anomalies of '{watched}' are looked for",
                did_you_mean(watched, WATCHED) or f"there are {', '.join(WATCHED)}",
            )
        if method not in METHODS:
            self.refuse(
                f"method '{method}' is unknown", did_you_mean(str(method), METHODS) or f"use {', '.join(METHODS)}"
            )
        factor, period = self._said("factor", FACTORS[method]), self._said("period", None)
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

    def _said(self, tag: str, default: Any) -> Any:
        condition = self.statement.tag(tag)
        return condition.operands[0] if condition else default

    @property
    def watched(self) -> TableRule:
        """The rule whose number it is."""
        name, *columns = self.statement.parameters
        said = Statement(name, tuple(columns), ANYTHING, self.statement.where, line=self.statement.line)
        return WATCHED[name](said)

    @property
    def columns(self) -> tuple[str, ...]:
        return self.watched.columns

    @property
    def series(self) -> str:
        return self.watched.series

    @property
    def asks_past(self) -> bool:
        return True

    def metrics(self, now: datetime) -> tuple[Metric, ...]:
        return self.watched.metrics(now)

    def measure(self, values: Values, now: datetime) -> float | None:
        return self.watched.measure(values, now)

    def recalled(self, past: Past, now: datetime) -> Rule:
        factor, period = self._said("factor", None), self._said("period", None)
        try:
            band = expected(
                past.points(self.series),
                now,
                cast(Method, self._said("method", "auto")),
                float(factor) if factor is not None else None,
                int(period) if period is not None else None,
            )
        except TooShort as short:
            return replace(self, awaits=str(short))
        return replace(self, band=band)

    def bound(self) -> Condition:
        if self.band is None:
            return ANYTHING
        return _Within("between", (Decimal(repr(self.band.low)), Decimal(repr(self.band.high))))

    def told(self, values: Values, now: datetime) -> str:
        return f"expected {self.band}" if self.band else ""
