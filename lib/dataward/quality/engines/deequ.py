"""Engine ``deequ``: metrics as a PyDeequ analyzer suite, thresholds judged in Python.

All scan-shareable analyzers share one aggregation; each set of grouping columns costs one more. No lambda crosses to
the JVM, so no callback server is started; only :func:`run_checks`, for a user's own checks, starts one.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dataward.quality.metrics import KINDS, Metric, Unmeasured, Values, is_grouped, measurable
from dataward.spark.java_side import deequ_metric
from dataward.spark.sql import identifier
from dataward.tables.reason import reason

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["CheckOutcome", "measure", "run_checks"]

CheckOutcome = tuple[str, str, str, bool, float | None]
"""Check, level (Error or Warning), constraint, whether it held, its measured value if Deequ tells it."""


def measure(spark: SparkSession, frame: DataFrame, metrics: Iterable[Metric], plain: DataFrame | None = None) -> Values:
    """Measure every metric once; asking the result for one that Deequ could not measure raises Unmeasured.

    ``plain``: the same rows without what is joined to them for predicates alone; keys are counted on these.
    """
    types = {field.name.lower(): field.dataType.typeName() for field in frame.schema.fields}
    asked, failures = measurable(metrics, types)
    if not asked:
        return Values({}, failures)
    # Deequ divides by the number of keys, also when there is none: that number is asked for as well.
    keys = {metric: replace(metric, kind="distinct_count") for metric in asked if metric.kind == "unique_value_ratio"}
    wanted = list(dict.fromkeys([*asked, *keys.values()]))
    keyed = [] if plain is None else [metric for metric in wanted if is_grouped(metric)]
    values: dict[Metric, float | None] = {}
    for rows, some in ((frame, [metric for metric in wanted if metric not in keyed]), (plain, keyed)):
        if rows is None or not some:
            continue
        context, analyzers = _run(spark, rows, some, types)
        for metric, analyzer in zip(some, analyzers, strict=True):
            try:
                values[metric] = _value(context, analyzer, metric)
            except Unmeasured as error:
                failures[metric] = str(error)
    nothing = [metric for metric, count in keys.items() if values.get(count) == 0]
    return Values({**values, **dict.fromkeys(nothing)}, failures)


def _run(
    spark: SparkSession, frame: DataFrame, metrics: list[Metric], types: Mapping[str, str]
) -> tuple[Any, list[Any]]:
    """Run Deequ; returns its context and the analyzer of each metric."""
    from pydeequ import analyzers as deequ

    frame, names = _plain(frame, metrics, types)
    analyzers = [
        KINDS[metric.kind].analyzer(deequ, metric, names[metric], number) for number, metric in enumerate(metrics)
    ]
    runner = deequ.AnalysisRunner(spark).onData(frame)
    for analyzer in analyzers:
        runner.addAnalyzer(analyzer)
    return runner.run(), analyzers


def _plain(
    frame: DataFrame, metrics: list[Metric], types: Mapping[str, str]
) -> tuple[DataFrame, dict[Metric, tuple[str, ...]]]:
    """Add copies of columns that Deequ cannot take under plain names; returns the frame and each metric's columns by these names.

    Deequ interprets dots and dashes in names, and its grouping analyzers have no ``where`` (or, as Uniqueness and Entropy, count the
    rows outside as a key): a copy that is null outside is used. It adds whole numbers and decimals in their own type, which overflows
    silently: they are cast to double, for Sum to a decimal whose sum has room for ten more digits.
    """
    made: dict[str, str] = {}
    names = {}
    kinds = {name.lower(): kind for name, kind in frame.dtypes}
    for metric in metrics:
        plain = []
        for column in metric.columns:
            value = identifier(column)
            if is_grouped(metric) and metric.where:
                value = f"if({metric.where}, {value}, null)"
            elif metric.kind == "sum" and (exact := _summed_exactly(kinds[column.lower()])):
                value = f"cast({value} as {exact})"
            elif KINDS[metric.kind].of_numbers and types[column.lower()] in ("long", "decimal"):
                value = f"cast({value} as double)"
            odd = value != identifier(column) or not re.fullmatch(r"[A-Za-z_]\w*", column)
            plain.append(made.setdefault(value, f"__column_{len(made)}") if odd else column)
        names[metric] = tuple(plain)
    return frame.selectExpr("*", *[f"{value} as {name}" for value, name in made.items()]), names


def _summed_exactly(kind: str) -> str | None:
    """Return the decimal type in which numbers of a type are added without loss; None where there is none."""
    precision = re.fullmatch(r"decimal\((\d+),\d+\)", kind)
    if precision:
        return kind if int(precision[1]) <= 28 else None
    return "decimal(20,0)" if kind == "bigint" else None


def _value(context: Any, analyzer: Any, metric: Metric) -> float | None:
    found = deequ_metric(context, analyzer)
    if found.isEmpty():
        raise Unmeasured(f"Deequ returned no {metric.kind} for {', '.join(metric.columns) or 'the table'}")
    value = found.get().value()
    if value.isSuccess():
        return float(value.get())
    failure = value.failed().get()
    if failure.getClass().getSimpleName() == "EmptyStateException":
        return 0.0 if metric.kind == "size" else None
    # Deequ's own message may hold a value of the data: `reason` lets none through.
    raise Unmeasured(f"Deequ could not measure {metric.kind}: {reason(_Failure(failure))}")


class _Failure(Exception):
    """A Java exception that was returned instead of thrown."""

    def __init__(self, java_exception: Any) -> None:
        super().__init__()
        self.java_exception = java_exception


def run_checks(spark: SparkSession, frame: DataFrame, make: Callable[[], Iterable[Any]]) -> list[CheckOutcome]:
    """Run a user's own ``Check`` objects.

    Their lambdas need the callback server as soon as they are made, so they are made here. What pydeequ and the checks
    print goes to stderr: stdout is for one JSON document.
    """
    from pydeequ.verification import VerificationResult, VerificationSuite

    from dataward.spark.session import callbacks

    callbacks(spark)
    with contextlib.redirect_stdout(sys.stderr):
        suite = VerificationSuite(spark).onData(frame)
        for check in make():
            suite = suite.addCheck(check)
        rows = VerificationResult.checkResultsAsDataFrame(spark, suite.run()).collect()
    return [
        (
            row.check,
            row.check_level,
            row.constraint,
            row.constraint_status == "Success",
            _told(row.constraint_message),
        )
        for row in rows
    ]


def _told(message: str | None) -> float | None:
    """Return the number in Deequ's "Value: 0.5 does not meet the constraint requirement!"; its other messages may hold data."""
    found = re.match(r"Value: (-?[0-9.]+(?:E-?[0-9]+)?) does not meet", message or "")
    return float(found.group(1)) if found else None
