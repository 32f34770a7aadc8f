"""Measure rules per window of event time, as counts and sums that add up over runs and batches, late rows included.

A row of the table is (window, rule): ``count`` rows or values, and their ``total`` (rows that pass, values that are not null, or
the sum of numbers). ``total / count`` is the rule's number in that window, except for RowCount (``count``) and Sum (``total``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dataward.integrity import ledger
from dataward.integrity.seal import Seal
from dataward.pipeline.guard import guarded
from dataward.pipeline.plan import Plan
from dataward.privacy.protect import ColumnPlan
from dataward.quality.rules import RowRule, Rule, TableRule
from dataward.quality.split import with_paths
from dataward.quality.suite import Suite
from dataward.spark.session import isolated
from dataward.spark.sql import column, identifier, literal
from dataward.tables import delta

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Window", "windowed", "windows"]

ADDITIVE = {"size", "completeness", "mean", "sum"}


@dataclass(frozen=True)
class Window:
    """Measurement of one rule in one window; ``measured`` is None where there is no value."""

    start: str
    end: str
    rule: str
    count: int
    measured: float | None


def windowed(columns: ColumnPlan, suite: Suite, frame: DataFrame, now: datetime) -> DataFrame:
    """Return the rows of the windows table for a frame, by one aggregation; rows without a time are in no window."""
    from pyspark.sql import functions as F

    windows = columns.contract.windows
    assert windows is not None  # noqa: S101 - the caller checks it
    sensitive = {name.lower() for name in columns.sensitive}
    additive = [(rule, sums) for rule in suite.typed(frame).rules if (sums := _sums(rule, now, sensitive))]
    wide = with_paths(frame, (name for rule, _ in additive for name in rule.columns))
    structs = ["struct('rows' as rule, 'size' as kind, count(*) as count, cast(null as double) as total)"]
    structs += [
        f"struct({literal(rule.text)} as rule, '{kind}' as kind, {count} as count, cast({total} as double) as total)"
        for rule, (kind, count, total) in additive
    ]
    time = column(windows.column).cast("timestamp")
    grouped = wide.groupBy(F.window(time, windows.length).alias("window"))
    rows = grouped.agg(F.expr(f"array({', '.join(structs)})").alias("sums"))
    return rows.selectExpr("window.start as start", "window.end as end", "explode(sums) as sums").select(
        "start", "end", "sums.*"
    )


def _sums(rule: Rule, now: datetime, sensitive: set[str]) -> tuple[str, str, str] | None:
    """Return (kind, SQL of the count, SQL of the total) of a rule whose number adds up over parts; None for other rules."""
    if isinstance(rule, RowRule) and not rule.flags():
        outcome = rule.outcome(now)
        return "share", f"count({outcome})", f"count_if({outcome})"
    if not isinstance(rule, TableRule) or getattr(rule, "kind", "") not in ADDITIVE:
        return None
    where = f"coalesce({rule.statement.where}, false)" if rule.statement.where else "true"
    if rule.kind == "size":
        return "size", f"count_if({where})", "null"
    value = f"if({where}, {identifier(rule.columns[0])}, null)"
    if rule.kind == "completeness":
        return "share", f"count_if({where})", f"count({value})"
    if rule.columns[0].lower() in sensitive:  # in a window with one row, the sum is a value
        return None
    return rule.kind, f"count({value})", f"sum(cast({value} as double))"


@guarded("history")
def windows(spark: SparkSession, plan: Plan) -> list[Window]:
    """Return the measurement of every window and rule over all sealed runs, oldest first."""
    from pyspark.sql import functions as F

    contract = plan.contract
    place = contract.windows_location
    with isolated(spark) as own:
        if not delta.exists(own, place):
            return []
        sealed = [
            record.run_id for record in ledger.records(contract.ledger_location, "seal") if isinstance(record, Seal)
        ]
        runs = own.createDataFrame([(run_id,) for run_id in sealed], "run_id string").distinct()
        rows = delta.read(own, place, delta.latest_version(own, place)).join(runs, "run_id", "leftsemi")
        added = rows.groupBy("start", "end", "rule", "kind").agg(
            F.sum("count").alias("count"), F.sum("total").alias("total")
        )
        texts = added.withColumn("start", F.col("start").cast("string")).withColumn("end", F.col("end").cast("string"))
        return [
            Window(row["start"], row["end"], row["rule"], row["count"], _measured(row))
            for row in texts.orderBy("start", "rule").collect()
        ]


def _measured(row: Any) -> float | None:
    if row["kind"] == "size":
        return float(row["count"])
    if row["total"] is None or not row["count"]:
        return None
    return float(row["total"] if row["kind"] == "sum" else row["total"] / row["count"])
