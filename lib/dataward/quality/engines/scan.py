"""The scan: all aggregates of a frame, or of each of its parts, in one job.

A plan of more than :data:`AGGREGATES` is slow, so very many make several plans, each with a scan of its own. Where very many
predicates are asked of one column that holds few different values, these are grouped first, and each predicate is evaluated once per
value and not once per row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any

from dataward.quality.engines.numbers import Numbers, aggregates
from dataward.quality.internal import INTERNAL
from dataward.quality.metrics import Metric
from dataward.sql import identifier

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["aggregated"]

# Of one plan. Beyond 100 columns Spark generates no code for the whole stage, and takes several times as long.
AGGREGATES = 90
MANY = 24
"""Predicates of one column from which on it pays to ask how many values it holds."""
SAMPLE = 100_000
"""Rows that are looked at for it."""
FEW = 1 / 8
"""Different values for each row of the sample, at most."""
TIMES = f"{INTERNAL}times"


def aggregated(frame: DataFrame, metrics: Iterable[Metric], by: str | None = None) -> dict[str | None, Numbers]:
    """Every aggregate that metrics need: of the whole frame (None), or the states of its parts (SQL ``by``, a text)."""
    from pyspark.sql import functions as F

    wanted = list(metrics)
    of_values = {} if by else _of_few_values(frame, wanted)
    weighted = {sql for some in of_values.values() for sql in some}
    # Sorted, so that those of one column come together; each once.
    needed = sorted({sql for metric in wanted for sql in aggregates(metric, parts=by is not None)} - weighted)
    needed.sort(key=lambda sql: sql.partition("`")[2])
    grouped = frame.groupBy(F.expr(by).alias("part")) if by else frame.groupBy()
    sections = [(grouped, {sql: sql for sql in some}) for some in _split(needed)]
    for name, forms in of_values.items():
        values = frame.groupBy(F.expr(identifier(name)).alias(name)).agg(F.count("*").alias(TIMES)).groupBy()
        sections += [(values, {sql: forms[sql] for sql in some}) for some in _split(sorted(forms))]
    rows = [
        of.agg(F.lit(number).alias("section"), _doubles(some.values())) for number, (of, some) in enumerate(sections)
    ]
    found: dict[str | None, Numbers] = {}
    for row in reduce(lambda one, other: one.unionAll(other), rows).collect():
        numbers = dict(zip(sections[row.section][1], row.found, strict=True))
        found.setdefault(row.part if by else None, {}).update(numbers)
    return found


def _split(needed: list[str]) -> list[list[str]]:
    return [needed[start : start + AGGREGATES] for start in range(0, len(needed), AGGREGATES)]


def _doubles(aggregates: Iterable[str]) -> Any:
    from pyspark.sql import functions as F

    return F.expr(f"array({', '.join(f'cast({sql} as double)' for sql in aggregates)})").alias("found")


def _of_few_values(frame: DataFrame, metrics: list[Metric]) -> Mapping[str, dict[str, str]]:
    """By column that holds few values and is asked about very often, its aggregates, and each over values that stand for so many rows."""
    from pyspark.sql import functions as F

    kinds = dict(frame.dtypes)
    forms: dict[str, dict[str, str]] = {}
    for metric in metrics:
        if metric.kind == "compliance" and metric.where is None and _of_one_value(metric, kinds):
            counted = aggregates(metric)[0]
            forms.setdefault(metric.columns[0], {})[counted] = f"sum(if({metric.predicate}, {TIMES}, 0))"
    asked = [name for name, some in forms.items() if len(some) >= MANY]
    if not asked:
        return {}
    different = [F.approx_count_distinct(F.expr(identifier(name))) for name in asked]
    rows, *found = frame.limit(SAMPLE).agg(F.count("*"), *different).collect()[0]
    return {name: forms[name] for name, values in zip(asked, found, strict=True) if values <= rows * FEW}


def _of_one_value(metric: Metric, kinds: Mapping[str, str]) -> bool:
    """Whether the predicate says the same of all rows with one value of its column."""
    if len(metric.columns) != 1 or INTERNAL in str(metric.predicate):
        return False
    kind = kinds.get(metric.columns[0], "map")
    # -0.0 and 0.0 are grouped as one; as texts they differ.
    texts_differ = kind in ("double", "float") and "rlike" in str(metric.predicate)
    return not kind.startswith(("array", "map", "struct")) and not texts_differ
