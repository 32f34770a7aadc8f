"""What the rules come to in each window of event time: counts and sums that add up over runs and batches, late rows included.

A row of the table is (window, rule): ``count`` rows or values, and their ``total`` (rows that pass, values that are there, or
the sum of numbers). ``total / count`` is the rule's number in that window, except for RowCount (``count``) and Sum (``total``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dataward.contract import Contract
from dataward.integrity import ledger
from dataward.integrity.seal import Seal
from dataward.plan import Plan
from dataward.quality.rules import RowRule, Rule, TableRule
from dataward.quality.split import with_paths
from dataward.quality.suite import Suite
from dataward.session import isolated
from dataward.sql import column, identifier, literal
from dataward.tables import delta

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Window", "windowed", "windows"]

ADDITIVE = {"size", "completeness", "mean", "sum"}


@dataclass(frozen=True)
class Window:
    """One rule in one window; ``measured`` is None where there was nothing to measure."""

    start: str
    end: str
    rule: str
    count: int
    measured: float | None


def windowed(contract: Contract, suite: Suite, frame: DataFrame, now: datetime) -> DataFrame:
    """The rows to add for a frame that was judged: one aggregation. Rows without a time are in no window."""
    from pyspark.sql import functions as F

    assert contract.windows is not None  # noqa: S101 - asked before
    sensitive = {name.lower() for name in frame.columns if contract.sensitive(name)}
    told = [(rule, sums) for rule in suite.typed(frame).rules if (sums := _sums(rule, now, sensitive))]
    wide = with_paths(frame, (name for rule, _ in told for name in rule.columns))
    structs = ["struct('rows' as rule, 'size' as kind, count(*) as count, cast(null as double) as total)"]
    structs += [
        f"struct({literal(rule.text)} as rule, '{kind}' as kind, {count} as count, cast({total} as double) as total)"
        for rule, (kind, count, total) in told
    ]
    time = column(contract.windows.column).cast("timestamp")
    grouped = wide.groupBy(F.window(time, contract.windows.length).alias("window"))
    rows = grouped.agg(F.expr(f"array({', '.join(structs)})").alias("told"))
    return rows.selectExpr("window.start as start", "window.end as end", "explode(told) as told").select(
        "start", "end", "told.*"
    )


def _sums(rule: Rule, now: datetime, sensitive: set[str]) -> tuple[str, str, str] | None:
    """(kind, SQL of the count, SQL of the total) where a rule's number adds up over parts; None where it does not."""
    if isinstance(rule, RowRule) and not rule.flags():
        outcome = rule.outcome(now)
        return "share", f"count({outcome})", f"count_if({outcome})"
    if not isinstance(rule, TableRule) or rule.kind not in ADDITIVE:
        return None
    where = f"coalesce({rule.statement.where}, false)" if rule.statement.where else "true"
    if rule.kind == "size":
        return "size", f"count_if({where})", "null"
    value = f"if({where}, {identifier(rule.columns[0])}, null)"
    if rule.kind == "completeness":
        return "share", f"count_if({where})", f"count({value})"
    if rule.columns[0].lower() in sensitive:  # of a window with one row, its value
        return None
    return rule.kind, f"count({value})", f"sum(cast({value} as double))"


def windows(spark: SparkSession, plan: Plan) -> list[Window]:
    """Every window and rule, oldest first, over all sealed runs."""
    from pyspark.sql import functions as F

    contract = plan.contract
    place = contract.windows_location
    with isolated(spark) as own:
        if not delta.exists(own, place):
            return []
        sealed = [one.run_id for one in ledger.records(own, contract.ledger_location) if isinstance(one, Seal)]
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
