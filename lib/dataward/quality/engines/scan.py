"""Compute all aggregates of a frame, or of each of its parts, in one Spark job.

A plan with more than :data:`AGGREGATES` aggregates is slow, so that more are split into several plans, each with its own scan.
Where one column with few distinct values has very many predicates, its values are grouped first, and each predicate is evaluated
once per value instead of once per row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any

from dataward.quality.internal import INTERNAL
from dataward.quality.metrics import Metric, Numbers, aggregates
from dataward.spark.sql import identifier

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["aggregated"]

# Per plan. Beyond 100 columns Spark does not use whole-stage code generation, which takes several times as long.
AGGREGATES = 90
MANY = 24
"""Minimum number of predicates of one column for which its distinct values are counted."""
SAMPLE = 100_000
"""Number of rows in which they are counted."""
FEW = 1 / 8
"""Maximum share of distinct values among these rows."""
TIMES = f"{INTERNAL}times"


def aggregated(frame: DataFrame, metrics: Iterable[Metric], by: str | None = None) -> dict[str | None, Numbers]:
    """Compute every aggregate that metrics need.

    Args:
        frame: the frame.
        metrics: the metrics.
        by: SQL of a text that identifies the part of a row; None: the whole frame.

    Returns:
        Numbers of each part; of the whole frame under the key None.
    """
    from pyspark.sql import functions as F

    wanted = list(metrics)
    of_values = {} if by else _of_few_values(frame, wanted)
    weighted = {sql for expressions in of_values.values() for sql in expressions}
    # Distinct aggregates, sorted so that those of one column are in one plan.
    needed = sorted({sql for metric in wanted for sql in aggregates(metric, parts=by is not None)} - weighted)
    needed.sort(key=lambda sql: sql.partition("`")[2])
    grouped = frame.groupBy(F.expr(by).alias("part")) if by else frame.groupBy()
    sections = [(grouped, {sql: sql for sql in expressions}) for expressions in _split(needed)]
    for name, forms in of_values.items():
        values = frame.groupBy(F.expr(identifier(name)).alias(name)).agg(F.count("*").alias(TIMES)).groupBy()
        sections += [(values, {sql: forms[sql] for sql in expressions}) for expressions in _split(sorted(forms))]
    rows = [
        grouping.agg(F.lit(number).alias("section"), _doubles(expressions.values()))
        for number, (grouping, expressions) in enumerate(sections)
    ]
    by_part: dict[str | None, Numbers] = {}
    for row in reduce(lambda left, right: left.unionAll(right), rows).collect():
        numbers = dict(zip(sections[row.section][1], row.found, strict=True))
        by_part.setdefault(row.part if by else None, {}).update(numbers)
    return by_part


def _split(needed: list[str]) -> list[list[str]]:
    """Split aggregates into plans."""
    return [needed[start : start + AGGREGATES] for start in range(0, len(needed), AGGREGATES)]


def _doubles(aggregates: Iterable[str]) -> Any:
    """Return aggregates as one array column of doubles."""
    from pyspark.sql import functions as F

    return F.expr(f"array({', '.join(f'cast({sql} as double)' for sql in aggregates)})").alias("found")


def _of_few_values(frame: DataFrame, metrics: list[Metric]) -> Mapping[str, dict[str, str]]:
    """Map each column with few distinct values and many predicates to its aggregates, with their form over counted values."""
    from pyspark.sql import functions as F

    kinds = dict(frame.dtypes)
    forms: dict[str, dict[str, str]] = {}
    for metric in metrics:
        if metric.kind == "compliance" and metric.where is None and _of_one_value(metric, kinds):
            counted = aggregates(metric)[0]
            forms.setdefault(metric.columns[0], {})[counted] = f"sum(if({metric.predicate}, {TIMES}, 0))"
    candidates = [name for name, expressions in forms.items() if len(expressions) >= MANY]
    if not candidates:
        return {}
    distinct = [F.approx_count_distinct(F.expr(identifier(name))) for name in candidates]
    rows, *distinct_counts = frame.limit(SAMPLE).agg(F.count("*"), *distinct).collect()[0]
    return {name: forms[name] for name, values in zip(candidates, distinct_counts, strict=True) if values <= rows * FEW}


def _of_one_value(metric: Metric, kinds: Mapping[str, str]) -> bool:
    """Return whether the predicate has the same result for all rows with one value of its column."""
    if len(metric.columns) != 1 or INTERNAL in str(metric.predicate):
        return False
    kind = kinds.get(metric.columns[0], "map")
    # -0.0 and 0.0 are one group, but different texts.
    texts_differ = kind in ("double", "float") and "rlike" in str(metric.predicate)
    return not kind.startswith(("array", "map", "struct")) and not texts_differ
