"""Diverted rows: list them, release them under the present contract, or discard them.

Diverted rows are stored protected, so nobody can judge them there. A release reads the source at the version of the run again,
repairs and judges all of it under the present contract, and publishes the rows that the run diverted and that now pass, as a
version with its own seal. A row is identified by a keyed hash of its content; of rows with equal content, all or none are
released. The target is written before the quarantine: a release killed between the two is finished under the same run ID.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from dataward.contract import Contract, Location
from dataward.contract.reserved import FAILED_RULES, ROW_ID, RUN_ID
from dataward.errors import UsageError
from dataward.integrity import ledger
from dataward.integrity.canonical import sha256
from dataward.integrity.records import Discard
from dataward.integrity.seal import Seal, code_version
from dataward.keys import open_keys
from dataward.pipeline.context import Asked, Progress, silent
from dataward.pipeline.guard import caller, guarded
from dataward.pipeline.heads import RERUN, keep_heads
from dataward.pipeline.intake.quarantined import QuarantinedRows
from dataward.pipeline.plan import Plan
from dataward.pipeline.publish import carry_out
from dataward.pipeline.replaced import later, still_due
from dataward.pipeline.seal import same_keys, signer
from dataward.report import RunResult
from dataward.spark.session import isolated
from dataward.tables import delta, maintenance

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Batch", "Shown", "batches", "discard", "release", "show"]


@dataclass(frozen=True)
class Batch:
    """The rows that one run diverted, and where they are now. ``lost``: rows that no release, discard or erasure accounts for.

    ``replaced``: waiting rows that cannot be released any more, as the later run ``by`` judged them again when it replaced the target's
    rows; in a merge (``by`` is empty), as the target has newer rows with their keys.
    """

    run_id: str
    time: str
    quarantined: int
    released: int
    discarded: int
    waiting: int
    replaced: int = 0
    by: str = ""

    @property
    def lost(self) -> int:
        """Number of rows that are neither waiting, released nor discarded."""
        return self.quarantined - self.released - self.discarded - self.waiting


@dataclass(frozen=True)
class Shown:
    """``rules``: number of waiting rows that failed each; ``rows``: some of these rows as stored (protected)."""

    rules: dict[str, int]
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@guarded("quarantine_show")
def batches(spark: SparkSession, plan: Plan) -> list[Batch]:
    """Return every run that diverted rows, oldest first.

    Raises:
        UsageError: the contract has no quarantine.
    """
    place = _place(plan.contract)
    with isolated(spark) as own:
        records = ledger.records(plan.contract.ledger_location)
        waiting: dict[str, int] = {}
        replaced: dict[str, tuple[int, str]] = {}
        if delta.exists(own, place):
            rows = _newest(own, place)
            waiting = {row[RUN_ID]: row["count"] for row in rows.groupBy(RUN_ID).count().collect()}
            replaced = _replaced(own, plan.contract, rows, waiting)
        found = []
        for seal in records:
            if not isinstance(seal, Seal) or seal.releases or not seal.rows.get("quarantined"):
                continue
            released = sum(s.rows["published"] for s in records if isinstance(s, Seal) and s.releases == seal.run_id)
            discarded = sum(d.rows for d in records if isinstance(d, Discard) and d.of_run == seal.run_id)
            still = waiting.get(seal.run_id, 0)
            gone = replaced.get(seal.run_id, (0, ""))
            found.append(Batch(seal.run_id, seal.time, seal.rows["quarantined"], released, discarded, still, *gone))
        return found


@guarded("quarantine_show")
def show(spark: SparkSession, plan: Plan, of_run: str, rows: int = 20) -> Shown:
    """Return the reasons for a run's waiting rows, and some of the rows.

    Raises:
        UsageError: the contract has no quarantine, or none of the run's rows wait.
    """
    from pyspark.sql import functions as F

    place = _place(plan.contract)
    with isolated(spark) as own:
        waiting = _waiting(own, place, of_run)
        rules = (
            waiting.select(F.explode(FAILED_RULES).alias("rule"))
            .groupBy("rule")
            .count()
            .orderBy(F.desc("count"), "rule")
        )
        some = waiting.drop(RUN_ID, ROW_ID).limit(rows)
        return Shown(
            {row["rule"]: row["count"] for row in rules.limit(100).collect()},
            tuple(some.columns),
            tuple(tuple(row) for row in some.collect()),
        )


@guarded("quarantine_discard")
def discard(spark: SparkSession, plan: Plan, of_run: str, rule: str | None, reason: str, replaced: bool = False) -> int:
    """Delete waiting rows of a run from the quarantine, and return their number.

    Delta's older versions still contain them until they are vacuumed.

    Args:
        spark: the session.
        plan: the contract.
        of_run: the run that diverted the rows.
        rule: only rows that failed this rule; None: any.
        reason: the reason, for the ledger.
        replaced: only rows that a later run judged again (see :class:`Batch`).

    Raises:
        UsageError: no such row waits.
    """
    from pyspark.sql import functions as F

    contract = plan.contract
    place = _place(contract)
    with isolated(spark) as own:
        keys = open_keys(contract.keys)
        same_keys(own, contract, keys)
        waiting = _waiting(own, place, of_run)
        chosen = waiting if rule is None else waiting.where(F.array_contains(FAILED_RULES, rule))
        if replaced:
            due = still_due(own, contract.target, chosen, later(delta.commits(own, contract.target), of_run))
            chosen = chosen.join(due.select(ROW_ID), ROW_ID, "leftanti")
        ids = chosen.select(ROW_ID).distinct()
        rows = int(waiting.join(ids, ROW_ID, "leftsemi").count())
        if not rows:
            what = f"failed '{rule}'" if rule else "was replaced by a later run"
            raise UsageError(f"no waiting row of run '{of_run}' {what}: see dataward quarantine show")
        version = delta.latest_version(own, place)
        run_id = f"discard-{sha256([of_run, version, rule, *([True] if replaced else [])])[:16]}"
        if ledger.find(contract.ledger_location, run_id, contract.target, "discard") is None:
            record = Discard(
                contract=contract.contract,
                run_id=run_id,
                target=str(contract.target),
                version=None,
                time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
                who=caller(spark, contract).name,
                code=code_version(),
                key=signer(keys, contract.keys.domain),
                of_run=of_run,
                rule=rule,
                reason=reason,
                rows=rows,
            )
            ledger.append(contract.ledger_location, keys, record)
        keep_heads(contract, f"{place}: the discard is entered and nothing is deleted yet", RERUN)
        maintenance.delete_rows(own, place, ROW_ID, ids, {"run_id": run_id, "contract_sha256": plan.sha256})
        return rows


@guarded("quarantine_release")
def release(
    spark: SparkSession,
    plan: Plan,
    of_run: str,
    run_id: str | None = None,
    report_folder: str = "reports",
    progress: Progress = silent,
) -> RunResult:
    """Publish the waiting rows of a run that pass the present contract.

    Raises:
        UsageError: none of the run's rows wait.
        DatawardError: like ``publish``; rows that were not released keep waiting.
    """
    place = _place(plan.contract)
    target = plan.contract.target
    if target.mode != "merge":  # present rows stay
        target = target.model_copy(update={"mode": "append", "partition": {}})
    ours = replace(plan, contract=plan.contract.model_copy(update={"target": target}))
    return carry_out(spark, Asked(ours, run_id, report_folder, progress), QuarantinedRows(of_run, place))


def _replaced(
    spark: SparkSession, contract: Contract, rows: DataFrame, waiting: Mapping[str, int]
) -> dict[str, tuple[int, str]]:
    """Return, for each run, how many of its waiting rows a later run replaced, and that run."""
    if not waiting or not delta.exists(spark, contract.target):
        return {}
    commits = list(delta.commits(spark, contract.target))
    found = {}
    for run_id, count in waiting.items():
        then = later(commits, run_id)
        due = 0 if then.whole else count
        if not then.whole and (then.parts or (contract.target.mode == "merge" and then.wrote)):
            due = int(still_due(spark, contract.target, rows.where(_of(run_id)), then).count())
        if due < count:
            found[run_id] = (count - due, then.by)
    return found


def _place(contract: Contract) -> Location:
    if contract.quarantine_location is None:
        raise UsageError("the contract has no quarantine: add quarantine: {path: ...}")
    return contract.quarantine_location


def _of(run_id: str) -> Any:
    from pyspark.sql import functions as F

    return F.col(RUN_ID) == run_id


def _newest(spark: SparkSession, place: Location) -> DataFrame:
    return delta.read(spark, place, delta.latest_version(spark, place))


def _waiting(spark: SparkSession, place: Location, of_run: str) -> DataFrame:
    """Return the waiting rows of a run; raises UsageError where there are none."""
    frame = _newest(spark, place).where(_of(of_run)) if delta.exists(spark, place) else None
    if frame is None or frame.isEmpty():
        raise UsageError(f"no row of run '{of_run}' waits in {place}: see dataward quarantine list")
    if ROW_ID not in frame.columns:
        raise UsageError(f"{place}: its rows have no {ROW_ID}: they were diverted by an older Dataward; publish again")
    return frame
