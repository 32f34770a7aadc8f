"""Store the measurements of every run in the history, a Delta table beside the target with one append per run.

A row is (contract, run, series): the number and, if a rule measured it, the rule and its outcome. ``series`` names a number
independently of the condition (``RowCount``, ``Mean "age"``), so that a changed rule keeps its past. Rules compare with
runs that were accepted or marked good, not with runs that were stopped or marked bad. Where runs replace one partition, the
newest run of each partition counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from math import isnan
from typing import TYPE_CHECKING, Any

from dataward.contract import Contract
from dataward.errors import UsageError
from dataward.integrity.canonical import canonical
from dataward.pipeline.guard import guarded
from dataward.pipeline.plan import Plan
from dataward.quality.anomalies import expected
from dataward.quality.judge import Judgement
from dataward.quality.past import Past, Point, TooShort
from dataward.quality.suite import Suite
from dataward.spark.session import isolated
from dataward.spark.sql import literal
from dataward.tables import commits, delta, turns
from dataward.tables.named import named

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Line", "Measured", "Ran", "drawn", "mark", "measured", "recall", "remember"]

SCHEMA = (
    "contract string, run_id string, time timestamp, partition string, series string, rule string, outcome string, "
    "measured double, failed_rows bigint, rows bigint, status string"
)
ACCEPTED, STOPPED, GOOD, BAD = "accepted", "stopped", "marked good", "marked bad"
DRAWN = 60  # newest runs in a chart of the report
FILES = 10  # runs (one file each) between two compactions, so that a long history stays fast to read


@dataclass(frozen=True)
class Line:
    """The newest numbers of a series, the present run's last, and the expected band of the latter (None: too few runs)."""

    series: str
    values: tuple[float, ...]
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Measured:
    """One number of one run; ``status`` is accepted, stopped, marked good or marked bad."""

    run_id: str
    time: datetime
    series: str
    rule: str | None
    outcome: str | None
    measured: float | None
    status: str
    partition: str | None = None


@dataclass(frozen=True)
class Ran:
    """A finished run to store in the history."""

    run_id: str
    now: datetime
    suite: Suite
    judgement: Judgement
    past: Past
    stopped: bool


def remember(spark: SparkSession, plan: Plan, ran: Ran) -> None:
    """Append the measurements of a run, once per run (each time for a stopped one), and delete runs beyond the retention."""
    contract, run_id, now = plan.contract, ran.run_id, ran.now
    run = (contract.contract, run_id, now, _partition(contract))
    status = STOPPED if ran.stopped else ACCEPTED
    rows = [(*run, *entry, ran.judgement.rows, status) for entry in _series(ran.suite, ran.judgement)]
    _append(spark, plan, f"{run_id}/stopped/{now.isoformat()}" if ran.stopped else run_id, rows)
    _trim(spark, plan, now, ran.past)


def _append(spark: SparkSession, plan: Plan, app: str, rows: list[tuple[Any, ...]]) -> None:
    """Append rows once per ``app``, and compact the table now and then."""
    frame = spark.createDataFrame(rows, SCHEMA).coalesce(1)
    place, metadata = plan.contract.history_location, {"contract": plan.name, "contract_sha256": plan.sha256}
    commit = commits.append_once(spark, frame, place, commits.Transaction(app, metadata))
    if commit.version % FILES == FILES // 2:  # apart from the commits (0 modulo 10) at which Delta writes a checkpoint
        marker = json.dumps({"dataward": 1, "trims": plan.name})
        with suppress(Exception), turns.exclusive(spark, place, app), named(spark, marker):  # or another run does it
            delta.delta_table(spark, place).optimize().executeCompaction()


def _series(suite: Suite, judged: Judgement) -> Iterator[tuple[str, str | None, str | None, float | None, int | None]]:
    """Yield (series, rule, outcome, measured, failed rows) of each verdict, and of each further number."""
    of_rules = list(
        zip(suite.rules, judged.verdicts, strict=False)
    )  # verdicts of user-defined checks are last and have no series
    for rule, verdict in of_rules:
        yield rule.series, verdict.rule, verdict.outcome, verdict.measured, verdict.failed_rows
    seen = {rule.series for rule, _ in of_rules}
    further = {
        "RowCount": float(judged.rows),
        **{statistic.series: statistic.measured for statistic in judged.statistics},
    }
    for series, number in further.items():
        if series not in seen:
            yield series, None, None, number, None


def _partition(contract: Contract) -> str | None:
    return canonical(contract.target.partition) if contract.target.partition else None


def _trim(spark: SparkSession, plan: Plan, now: datetime, past: Past) -> None:
    """Delete runs beyond the retention, once the oldest exceeds it by a tenth, so that not every run deletes."""
    days = plan.contract.history.keep if plan.contract.history else 0
    oldest = min((points[0].time for points in past.series.values()), default=now)
    if oldest < now - timedelta(days=days * 1.1):
        before = (now - timedelta(days=days)).isoformat()
        condition = f"contract = {literal(plan.name)} and time < timestamp'{before}'"
        metadata = json.dumps({"dataward": 1, "trims": plan.name})
        place = plan.contract.history_location
        with (
            suppress(Exception),
            turns.exclusive(spark, place, "trim"),
            named(spark, metadata),
        ):  # or another run does it
            delta.delta_table(spark, place).delete(condition)


def drawn(past: Past, suite: Suite, judged: Judgement, now: datetime) -> Iterator[Line]:
    """Yield every series that has a past, with the present run's number and its expected band."""
    for series, number in {series: number for series, _, _, number, _ in _series(suite, judged)}.items():
        points = past.points(series)
        if number is None or not points:
            continue
        try:
            band = expected(points, now)
        except TooShort:
            band = None
        values = [*(point.value for point in points[-DRAWN:]), number]
        yield Line(series, tuple(values), band.low if band else None, band.high if band else None)


def recall(spark: SparkSession, plan: Plan, run_id: str, now: datetime) -> Past:
    """Read the numbers of earlier accepted runs by series, oldest first; empty where the contract keeps no history."""
    if plan.contract.history is None:
        return Past()
    partition = _partition(plan.contract)
    by_series: dict[str, dict[str, Point]] = {}
    for number in _read(spark, plan.contract):
        if (
            number.measured is None
            or number.status not in (ACCEPTED, GOOD)
            or number.time >= now
            or number.run_id == run_id
        ):
            continue
        if partition is None or number.partition != partition:
            runs = by_series.setdefault(number.series, {})
            runs.pop(number.partition or number.run_id, None)  # the newest run of a partition counts, at its own time
            runs[number.partition or number.run_id] = Point(number.time, number.measured)
    return Past({series: tuple(runs.values()) for series, runs in by_series.items()})


def _read(spark: SparkSession, contract: Contract) -> list[Measured]:
    """Read every number of a contract, oldest first, with the newest mark of its run as status."""
    place = contract.history_location
    if not delta.exists(spark, place):
        return []
    frame = delta.delta_table(spark, place).toDF()
    columns = ("run_id", "unix_micros(time) as time", "series", "rule", "outcome", "measured", "status", "partition")
    selected = frame.where(frame.contract == contract.contract).selectExpr(*columns).toPandas()
    rows = list(selected.sort_values("time").itertuples())
    marks = {row.run_id: row.status for row in rows if row.series is None}
    return [
        Measured(
            row.run_id,
            datetime.fromtimestamp(row.time / 1e6, timezone.utc),
            row.series,
            row.rule,
            row.outcome,
            None if isnan(row.measured) else row.measured,  # pandas represents null as NaN
            marks.get(row.run_id, row.status),
            row.partition,
        )
        for row in rows
        if row.series is not None
    ]


@guarded("history")
def measured(spark: SparkSession, plan: Plan) -> list[Measured]:
    """Return every number that runs of the contract measured, oldest first.

    Raises:
        UsageError: the contract keeps no history.
    """
    _require_history(plan.contract)
    with isolated(spark) as own:
        return _read(own, plan.contract)


@guarded("history_mark")
def mark(spark: SparkSession, plan: Plan, run_id: str, good: bool, reason: str) -> None:
    """Mark a run as good or bad: rules compare with good runs, whatever their outcome; the newest mark counts.

    Raises:
        UsageError: the contract keeps no history, or it has no such run.
    """
    _require_history(plan.contract)
    with isolated(spark) as own:
        if run_id not in {number.run_id for number in _read(own, plan.contract)}:
            raise UsageError(f"run '{run_id}' is not in the history: see dataward history --metric")
        now = datetime.now(timezone.utc)
        row = (plan.name, run_id, now, None, None, reason, None, None, None, None, GOOD if good else BAD)
        _append(own, plan, f"{run_id}/marked/{now.isoformat()}", [row])


def _require_history(contract: Contract) -> None:
    """Raise UsageError where a contract keeps no history."""
    if contract.history is None:
        raise UsageError(f"contract '{contract.contract}' keeps no history: add history: {{}}")
