"""Measure the numbers that ``Analyzers = [...]`` asks for; they are reported and never fail a run."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataward.quality.conditions import quoted
from dataward.quality.dqdl import Analyzer
from dataward.quality.metrics import Kind, Metric, Unmeasured, Values

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ANALYZERS", "Statistic", "metrics_of", "statistics"]

NUMBERS = ("tinyint", "smallint", "int", "bigint", "float", "double", "decimal")


@dataclass(frozen=True)
class _Wanted:
    """Metrics of an analyzer: for any column, and further ones for text and numeric columns."""

    columns: str  # number of columns: "0", "1", "2" or "1 or more"
    kinds: tuple[Kind, ...]
    of_text: tuple[Kind, ...] = ()
    of_numbers: tuple[Kind, ...] = ()

    def fits(self, count: int) -> bool:
        return count >= 1 if self.columns == "1 or more" else count == int(self.columns)


ANALYZERS: dict[str, _Wanted] = {
    "AllStatistics": _Wanted(
        "1",
        ("size", "completeness", "uniqueness"),
        ("min_length", "max_length"),
        ("minimum", "maximum", "mean", "standard_deviation"),
    ),
    "ColumnCorrelation": _Wanted("2", ("correlation",)),
    "ColumnCount": _Wanted("0", ()),
    "ColumnLength": _Wanted("1", ("min_length", "max_length")),
    "ColumnValues": _Wanted("1", (), (), ("minimum", "maximum")),
    "Completeness": _Wanted("1", ("completeness",)),
    "DistinctValuesCount": _Wanted("1", ("distinct_count",)),
    "Entropy": _Wanted("1", ("entropy",)),
    "Mean": _Wanted("1", ("mean",)),
    "RowCount": _Wanted("0", ("size",)),
    "StandardDeviation": _Wanted("1", ("standard_deviation",)),
    "Sum": _Wanted("1", ("sum",)),
    "UniqueValueRatio": _Wanted("1 or more", ("unique_value_ratio",)),
    "Uniqueness": _Wanted("1 or more", ("uniqueness",)),
}
SERIES = {"size": "RowCount", "distinct_count": "DistinctValuesCount", "correlation": "ColumnCorrelation"}
SINGLE_VALUES = frozenset({"minimum", "maximum"})
"""Metrics whose number is a value of a row; not measured on a column with sensitive data."""


@dataclass(frozen=True)
class Statistic:
    """One measured number; None where there was no value to measure or, with a ``message``, where measuring failed."""

    analyzer: str
    metric: str
    columns: tuple[str, ...]
    measured: float | None
    message: str = ""

    @property
    def series(self) -> str:
        """Name of the number in the history of runs, shared with the rule that measures the same."""
        columns = "".join(f" {quoted(column)}" for column in self.columns)
        return f"{SERIES.get(self.metric) or self.metric.title().replace('_', '')}{columns}"


def metrics_of(analyzer: Analyzer, types: Mapping[str, str], sensitive: Iterable[str] = ()) -> list[Metric]:
    """Return the metrics of an analyzer; ``types`` maps a column to Spark's simple type string."""
    wanted, columns = ANALYZERS[analyzer.name], analyzer.parameters
    kinds: list[Kind] = list(wanted.kinds)
    if columns:
        kind = {name.lower(): kind for name, kind in types.items()}.get(columns[0].lower(), "")
        kinds += wanted.of_text if kind == "string" else wanted.of_numbers if kind.startswith(NUMBERS) else ()
    hidden = {name.lower() for name in sensitive} & {name.lower() for name in columns}
    return [Metric(k, () if k == "size" else columns) for k in kinds if not (hidden and k in SINGLE_VALUES)]


def statistics(
    analyzers: Iterable[Analyzer], values: Values, types: Mapping[str, str], sensitive: Iterable[str]
) -> tuple[Statistic, ...]:
    """Return the measured numbers of all analyzers."""
    results = []
    for analyzer in analyzers:
        if analyzer.name == "ColumnCount":
            results.append(Statistic(str(analyzer), "column_count", (), float(len(types))))
        for metric in metrics_of(analyzer, types, sensitive):
            try:
                value = values[metric]
                finite = value is None or math.isfinite(value)
                message = "" if finite else f"the measured value is {value}"
                results.append(
                    Statistic(str(analyzer), metric.kind, metric.columns, value if finite else None, message)
                )
            except Unmeasured as error:
                results.append(Statistic(str(analyzer), metric.kind, metric.columns, None, str(error)))
    return tuple(results)
