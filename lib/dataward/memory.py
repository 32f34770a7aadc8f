"""What every run measured, and what came of it: a Delta table beside the target, one append a run.

A row is (contract, run, series): the number and, where a rule asked for it, the rule and its verdict. ``series`` names a number
whatever it was compared with (``RowCount``, ``Mean "age"``), so that a rule may change and its past stays. Runs that were
stopped, and runs that somebody marked bad, are no part of the past that rules compare with; a run marked good is. Where runs
replace one partition, the newest run of each partition counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from math import isnan
from typing import TYPE_CHECKING, Any

from dataward.contract import Contract
from dataward.errors import UsageError
from dataward.integrity.canonical import canonical
from dataward.plan import Plan
from dataward.quality.anomalies import expected
from dataward.quality.judge import Judgement
from dataward.quality.past import Past, Point, TooShort
from dataward.quality.suite import Suite
from dataward.session import isolated
from dataward.sql import literal
from dataward.tables import commits, delta

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Line", "Measured", "drawn", "mark", "measured", "recall", "remember"]

SCHEMA = (
    "contract string, run_id string, time timestamp, partition string, series string, rule string, outcome string, "
    "measured double, failed_rows bigint, rows bigint, status string"
)
ACCEPTED, STOPPED, GOOD, BAD = "accepted", "stopped", "marked good", "marked bad"
DRAWN = 60  # runs in a report's line
FILES = 10  # one a run; of so many one is made, so that a thousand runs are read about as fast as ten


@dataclass(frozen=True)
class Line:
    """The newest numbers of a series, this run's last, and where that one was expected (None: too few runs)."""

    series: str
    values: tuple[float, ...]
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Measured:
    """What one run measured of one series; ``status``: accepted, stopped, marked good or marked bad."""

    run_id: str
    time: datetime
    series: str
    rule: str | None
    outcome: str | None
    measured: float | None
    status: str
    partition: str | None = None


def remember(
    spark: SparkSession,
    plan: Plan,
    run_id: str,
    now: datetime,
    suite: Suite,
    judged: Judgement,
    past: Past,
    stopped: bool,
) -> None:
    """Append what a run measured, once (a run that was stopped may come again), and remove what is too old."""
    contract = plan.contract
    known = (contract.contract, run_id, now, _partition(contract))
    status = STOPPED if stopped else ACCEPTED
    rows = [(*known, *told, judged.rows, status) for told in _series(suite, judged)]
    _append(spark, plan, f"{run_id}/stopped/{now.isoformat()}" if stopped else run_id, rows)
    _trim(spark, plan, now, past)


def _append(spark: SparkSession, plan: Plan, app: str, rows: list[tuple[Any, ...]]) -> None:
    frame = spark.createDataFrame(rows, SCHEMA).coalesce(1)
    place, told = plan.contract.history_location, {"contract": plan.name, "contract_sha256": plan.sha256}
    commit = commits.append_once(spark, frame, place, app, told)
    if commit.version % FILES == FILES // 2:  # not with the commit that Delta makes a checkpoint of, the tenth
        with suppress(Exception):  # somebody else is at it
            delta.delta_table(spark, place).optimize().executeCompaction()


def _series(suite: Suite, judged: Judgement) -> Iterator[tuple[str, str | None, str | None, float | None, int | None]]:
    """(series, rule, outcome, measured, failed rows): each verdict, and each number that no verdict has."""
    of_rules = list(zip(suite.rules, judged.verdicts, strict=False))  # the verdicts of users' own checks come last
    for rule, verdict in of_rules:
        yield rule.series, verdict.rule, verdict.outcome, verdict.measured, verdict.failed_rows
    seen = {rule.series for rule, _ in of_rules}
    beside = {"RowCount": float(judged.rows), **{one.series: one.measured for one in judged.statistics}}
    for series, number in beside.items():
        if series not in seen:
            yield series, None, None, number, None


def _partition(contract: Contract) -> str | None:
    return canonical(contract.target.partition) if contract.target.partition else None


def _trim(spark: SparkSession, plan: Plan, now: datetime, past: Past) -> None:
    """Remove runs that lie further back than is kept, once they are a tenth too old: not at every run."""
    kept = plan.contract.history.keep if plan.contract.history else 0
    oldest = min((points[0].time for points in past.series.values()), default=now)
    if oldest < now - timedelta(days=kept * 1.1):
        before = (now - timedelta(days=kept)).isoformat()
        condition = f"contract = {literal(plan.name)} and time < timestamp'{before}'"
        with suppress(Exception):  # another run is at it; the next one tries again
            delta.delta_table(spark, plan.contract.history_location).delete(condition)


def drawn(past: Past, suite: Suite, judged: Judgement, now: datetime) -> Iterator[Line]:
    """Every series that has a past, with this run's number and where it was to be expected."""
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
    """What rules may compare with: of each series the numbers of earlier accepted runs, oldest first."""
    if plan.contract.history is None:
        return Past()
    own = _partition(plan.contract)
    found: dict[str, dict[str, Point]] = {}
    for one in _read(spark, plan.contract):
        if one.measured is None or one.status not in (ACCEPTED, GOOD) or one.time >= now or one.run_id == run_id:
            continue
        if own is None or one.partition != own:
            runs = found.setdefault(one.series, {})
            runs.pop(one.partition or one.run_id, None)  # the newest of a partition counts, where it stands
            runs[one.partition or one.run_id] = Point(one.time, one.measured)
    return Past({series: tuple(runs.values()) for series, runs in found.items()})


def _read(spark: SparkSession, contract: Contract) -> list[Measured]:
    """Every row of this contract, oldest first, with the newest mark of its run."""
    place = contract.history_location
    if not delta.exists(spark, place):
        return []
    frame = delta.delta_table(spark, place).toDF()
    columns = ("run_id", "unix_micros(time) as time", "series", "rule", "outcome", "measured", "status", "partition")
    told = frame.where(frame.contract == contract.contract).selectExpr(*columns).toPandas()
    rows = list(told.sort_values("time").itertuples())
    marks = {row.run_id: row.status for row in rows if row.series is None}
    return [
        Measured(
            row.run_id,
            datetime.fromtimestamp(row.time / 1e6, timezone.utc),
            row.series,
            row.rule,
            row.outcome,
            None if isnan(row.measured) else row.measured,  # pandas has no other null for numbers
            marks.get(row.run_id, row.status),
            row.partition,
        )
        for row in rows
        if row.series is not None
    ]


def measured(spark: SparkSession, plan: Plan) -> list[Measured]:
    """Everything that runs of the contract measured, oldest first.

    Raises:
        UsageError: the contract keeps no history.
    """
    _kept(plan.contract)
    with isolated(spark) as own:
        return _read(own, plan.contract)


def mark(spark: SparkSession, plan: Plan, run_id: str, good: bool, reason: str) -> None:
    """Say of a run that rules may, or may not, compare with it; whatever it came to. The newest mark counts.

    Raises:
        UsageError: there is no such run in the history.
    """
    _kept(plan.contract)
    with isolated(spark) as own:
        if run_id not in {one.run_id for one in _read(own, plan.contract)}:
            raise UsageError(f"run '{run_id}' is not in the history: see dataward history --metric")
        now = datetime.now(timezone.utc)
        row = (plan.name, run_id, now, None, None, reason, None, None, None, None, GOOD if good else BAD)
        _append(own, plan, f"{run_id}/marked/{now.isoformat()}", [row])


def _kept(contract: Contract) -> None:
    if contract.history is None:
        raise UsageError(f"contract '{contract.contract}' keeps no history: add history: {{}}")
