"""The main job: source -> repair -> judge -> split -> protect -> examine -> write -> seal -> report."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from datetime import datetime
from typing import TYPE_CHECKING

from dataward.errors import DatawardError, Interrupted, ProtectionError, TargetError, UsageError
from dataward.integrity.seal import Seal
from dataward.pipeline import resume
from dataward.pipeline.attempts import repeated
from dataward.pipeline.breaches import broken
from dataward.pipeline.context import Asked, Context, Progress, Trace, silent, unwatched
from dataward.pipeline.decide import gate, reasons_to_stop
from dataward.pipeline.engine import with_engine
from dataward.pipeline.examine import Examined, examine
from dataward.pipeline.facts import Facts, as_dicts, attest_report, pin_facts, place_of, result, unchanged
from dataward.pipeline.forget import count_forgotten
from dataward.pipeline.guard import guarded
from dataward.pipeline.heads import keep_heads
from dataward.pipeline.identify import admitted
from dataward.pipeline.intake import ChangedPartitions, GivenFrame, Intake, Judged, Ready, WholeTable
from dataward.pipeline.lineage import with_event
from dataward.pipeline.metric_history import Line, Ran, drawn, remember
from dataward.pipeline.monitoring.otel import run_spans
from dataward.pipeline.plan import Plan
from dataward.pipeline.preflight import opened_keys, preflight
from dataward.pipeline.private_metrics import quieted, with_metrics
from dataward.pipeline.refusals import against_place
from dataward.pipeline.repair import Mended, mend, to_mend
from dataward.pipeline.reports import write_before_seal, write_last
from dataward.pipeline.seal import SealingRun, differs, seal_version
from dataward.pipeline.sealed_source import verified
from dataward.pipeline.write import Output, Written, write
from dataward.privacy.discover.gates import Looked, look
from dataward.privacy.protect import ColumnPlan, Protected, protect_in_window
from dataward.privacy.utility import parity
from dataward.report import Place, RunResult
from dataward.spark.held import hold
from dataward.spark.session import interruptible, isolated
from dataward.spark.sql import identifier
from dataward.tables import commits, delta
from dataward.tables.reason import from_worker, reason

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["carry_out", "publish", "reported"]


@guarded("publish")
def publish(
    spark: SparkSession,
    plan: Plan,
    run_id: str | None = None,
    report_folder: str = "reports",
    progress: Progress = silent,
    source: DataFrame | None = None,
) -> RunResult:
    """Publish a contract. A rerun of a run ID repeats nothing that the run did, and finishes the rest.

    Args:
        spark: the session.
        plan: plan of the contract.
        run_id: None for a new one.
        report_folder: folder of reports.
        progress: gets lines of text.
        source: the rows, for a contract whose source has ``format: frame``.

    Raises:
        DatawardError: see ``dataward.errors``; the target's newest version is then unchanged, or a whole new one.
    """
    return carry_out(spark, Asked(plan, run_id, report_folder, progress), _intake(plan, source))


def _intake(plan: Plan, given: DataFrame | None) -> Intake:
    """Return the intake of a contract.

    Raises:
        UsageError: a DataFrame is given and the contract names another source, or the contract demands one and none is given.
    """
    source = plan.contract.source
    if given is not None and source.format != "frame":
        raise UsageError(
            f"contract '{plan.name}' reads {source}: to publish a DataFrame, write source: {{format: frame}} in it, so that the "
            "contract and its seals do not name another source"
        )
    if given is not None:
        return GivenFrame(given)
    if source.format == "frame":
        raise UsageError(
            f"contract '{plan.name}' has the source 'format: frame': pass its rows by dataward.publish(contract, source=df), or "
            "name a path or a table under 'source'"
        )
    return ChangedPartitions() if plan.contract.target.mode == "refresh" else WholeTable()


def carry_out(spark: SparkSession, asked: Asked, intake: Intake) -> RunResult:
    """Execute a run in a session of its own, and write its report; a run that another writer overtook is repeated."""
    asked = replace(asked, plan=with_engine(spark, asked.plan))
    return repeated(asked, lambda again: _carried_out(spark, again, intake))


def _carried_out(spark: SparkSession, asked: Asked, intake: Intake) -> RunResult:
    try:
        with isolated(spark) as own, ExitStack() as resources:
            return reported(own, asked, intake, resources)
    except Exception as error:
        if isinstance(error.__context__, Interrupted):  # the cleanup failed too: the signal has reached the JVM
            raise error.__context__ from None
        raise


def reported(spark: SparkSession, asked: Asked, intake: Intake, resources: ExitStack) -> RunResult:
    """Execute a run and write its report, unless an earlier attempt did both.

    Raises:
        Interrupted: by Ctrl-C; the message names what is committed, and how to finish the run.
    """
    run_id = asked.name()
    spans = run_spans(asked.plan.name, run_id)
    trace = Trace(asked.progress, watch=spans.phase if spans else unwatched)
    try:
        found = _reported(spark, asked, run_id, intake, trace, resources)
    except BaseException as error:
        if spans:
            spans.end("failed", error)
        raise
    if spans:
        spans.end(found.status)
    return found


def _reported(
    spark: SparkSession, asked: Asked, run_id: str, intake: Intake, trace: Trace, resources: ExitStack
) -> RunResult:
    trace.progress(f"  run id {run_id}")
    with interruptible(spark):
        try:
            found = _run(spark, asked, run_id, intake, trace, resources)
        except KeyboardInterrupt:
            raise Interrupted(_standing(spark, asked.plan, run_id, trace)) from None
    found = with_metrics(spark, asked.plan.contract, found, trace.progress)
    return write_last(spark, with_event(asked, found), asked.report_folder)


def _run(
    spark: SparkSession, asked: Asked, run_id: str, intake: Intake, trace: Trace, resources: ExitStack
) -> RunResult:
    """Execute all stages, from the pinned source to the sealed version."""
    with trace.phase("pin") as say:
        ctx = _context(spark, asked, run_id, trace, resources)
        if ctx.earlier.seal:
            return unchanged(ctx, ctx.earlier.seal, _heads(ctx, ctx.earlier.seal))
        pinned = verified(ctx, intake.pin(ctx))
        ready = preflight(ctx, pinned)
        rows = intake.rows(ctx, pinned)
        forgotten = count_forgotten(ctx.contract, ready.memory, rows)
        frame = admitted(ctx.contract, ready.memory, rows)
        say(pinned.words)
    repaired = _repair(ctx, ready, frame)
    intake.try_protections(ctx, ready, repaired)
    with trace.phase("judge") as say:
        exact = intake.judge(ctx, ready, repaired)
        judged = quieted(ctx.contract, exact)
        resume.same_verdicts(ctx.run_id, ctx.earlier.metadata, judged.reproducible)
        say(judged.words)
    with trace.phase("split") as say:
        judged = judged.with_counts(ctx.contract, intake.count(ctx, exact), forgotten)
        reasons = reasons_to_stop(ctx.contract, judged.judgement.verdicts, judged.counted, intake.part_of_many)
        say(f"{judged.counted.diverted:,} of {judged.counted.read:,} rows diverted")
    plain, changes = judged.mended.plain, judged.mended.changes(ready.columns)
    looked = Looked() if reasons else _look(ctx, judged, plain, changes)
    reasons, warnings = gate(ctx.plan, looked) if not reasons else (reasons, [])
    protect, protections = protect_in_window(ctx.spark, ready.columns, plain, judged.judgement.columns_of_few_values())
    facts = _facts(ctx, judged, protections, looked, warnings)
    if reasons:
        return _stopped(ctx, intake, judged, replace(facts, reasons=reasons))
    split = intake.split(ctx, judged)
    if left := intake.nothing_left(judged, split):
        words = f"none of the {left.taken_in:,} rows may go on under the contract as it is now"
        facts = replace(facts, rows=left.as_dict(), warnings=[*facts.warnings, words])
        return result(ctx, "unchanged", _with_present(ctx, facts))
    output = Output(
        intake, judged, split, protect(split.good), protect(split.bad, strict=False),
        None if changes is None else protect(changes, strict=False), protections,
    )  # fmt: skip
    output = _held(ctx, output)
    examined = _examine(ctx, output)
    facts = _with_examined(facts, examined)
    if examined.reasons:
        return _stopped(ctx, intake, judged, replace(facts, reasons=list(examined.reasons)))
    facts = replace(facts, past=as_dicts(_remember(ctx, intake, judged, stopped=False)))
    with trace.phase("commit") as say:
        written = write(ctx, output)
        facts = _with_written(ctx, facts, written, ready.schema_changes)
        say(f"{ctx.contract.target} version {written.commit.version}, {written.commit.rows:,} rows")
    with trace.phase("seal") as say:
        write_before_seal(ctx, facts, asked.report_folder)
        seal = _seal(ctx, facts, written)
        say(f"content {seal.content.digest[:16]}, key {seal.key['domain']} v{seal.key['version']}")
    facts = replace(facts, warnings=[*facts.warnings, *differs(seal), *_heads(ctx, seal)])
    if ctx.contract.parity:
        facts = replace(facts, parity=_parity(ctx, split.good, ready.columns, written))
    return result(ctx, "published", facts, seal)


def _context(spark: SparkSession, asked: Asked, run_id: str, trace: Trace, resources: ExitStack) -> Context:
    plan = asked.plan
    keys = opened_keys(spark, plan.contract)
    target = against_place(spark, plan)
    earlier = resume.find(spark, plan, run_id) if asked.run_id else resume.Earlier()
    began = earlier.metadata and datetime.fromisoformat(earlier.metadata["as_of"])
    return Context(
        spark, plan, run_id, keys, began or trace.started.replace(microsecond=0), earlier, trace, resources, target
    )


def _repair(ctx: Context, ready: Ready, frame: DataFrame) -> Mended:
    if not to_mend(ctx.contract, ready.suite):
        return Mended(frame)
    with ctx.trace.phase("treat") as say:
        if (
            ready.small and ctx.contract.treat
        ):  # the rules are evaluated before, and each repair that compares rows reads them
            with suppress(Exception):  # judging reports rows that cannot be read
                held = hold(frame)
                ctx.resources.callback(held.release)
                frame = held.frame
        mended = mend(ctx, ready, frame)
        ctx.resources.callback(mended.release)
        say(mended.begun)
    return mended


def _look(ctx: Context, judged: Judged, plain: DataFrame, changes: DataFrame | None) -> Looked:
    """Scan a sample of the output rows for sensitive data."""
    if ctx.contract.discovery.gate == "off":
        return Looked()
    with ctx.trace.phase("discover") as say:
        seen = plain if changes is None else plain.unionByName(changes.select(*map(identifier, plain.columns)))
        rows = min(judged.judgement.rows, judged.counted.read)
        looked = look(ctx.spark, judged.ready.columns, seen, rows)
        say(str(looked))
    return looked


def _held(ctx: Context, output: Output) -> Output:
    """Protect small inputs once if not only the write reads them: an examination does, and a merge reads its rows twice."""
    if not output.judged.ready.small or not (ctx.contract.asks_output or ctx.contract.target.mode == "merge"):
        return output
    try:
        held = hold(output.ready)
    except Exception as error:
        if said := from_worker(error):
            raise ProtectionError(said) from None
        return output  # the write reports it
    ctx.resources.callback(held.release)
    return replace(output, ready=held.frame)


def _examine(ctx: Context, output: Output) -> Examined:
    """Check the protected rows against the contract and the target's declarations."""
    ready, examined = output.judged.ready, Examined()
    if ctx.contract.asks_output:
        with ctx.trace.phase("examine") as say:
            examined = examine(ctx, ready, output.split.good, output.ready)
            say(str(examined))
    broke = broken(ready.columns, ready.table, output.split.good, output.ready)
    return replace(examined, reasons=(*examined.reasons, *broke))


def _stopped(ctx: Context, intake: Intake, judged: Judged, facts: Facts) -> RunResult:
    lines = _remember(ctx, intake, judged, stopped=True)
    return result(ctx, "stopped", _with_present(ctx, replace(facts, past=as_dicts(lines))))


def _with_present(ctx: Context, facts: Facts) -> Facts:
    """Add the target's present version, which the run leaves unchanged."""
    version = ctx.target.version if ctx.target else None
    return replace(facts, target=Place(path=str(ctx.contract.target), version=version))


def _remember(ctx: Context, intake: Intake, judged: Judged, stopped: bool) -> tuple[Line, ...]:
    """Write the history before any commit: a run killed in between is finished under its ID, and is recorded once."""
    if ctx.contract.history is None or "history" not in intake.beside:
        return ()
    ready, judgement = judged.ready, judged.judgement
    with ctx.trace.phase("remember") as say:
        lines = tuple(drawn(ready.past, ready.suite, judgement, ctx.now))
        remember(ctx.spark, ctx.plan, Ran(ctx.run_id, ctx.now, ready.suite, judgement, ready.past, stopped))
        say(f"{len(judgement.verdicts)} verdicts")
    return lines


def _facts(
    ctx: Context, judged: Judged, protections: tuple[Protected, ...], looked: Looked, warnings: list[str]
) -> Facts:
    """Return the facts that are known before anything is written."""
    pinned, mended, judgement = judged.ready.pinned, judged.mended, judged.judgement
    return Facts(
        source={"described": pinned.source.described, **pin_facts(pinned.source)},
        references={alias: {"described": pin.described, **pin_facts(pin)} for alias, pin in pinned.references.items()},
        rows={"in": judged.counted.read, "published": 0, "quarantined": 0, "dropped": 0},
        target=Place(path=str(ctx.contract.target)),
        verdicts=as_dicts(judgement.verdicts),
        verdicts_before=as_dicts(mended.verdicts_before),
        repairs=as_dicts(mended.repairs),
        missing=[] if ctx.contract.metrics == "private" else as_dicts(mended.patterns),
        statistics=as_dicts(judgement.statistics),
        protections=as_dicts(protections),
        discovered=as_dicts(looked.findings),
        approvals=[one.model_dump(mode="json") for one in ctx.contract.approvals],
        warnings=[*mended.notes, *warnings],
    )


def _with_examined(facts: Facts, examined: Examined) -> Facts:
    return replace(
        facts,
        verdicts_after=as_dicts(examined.verdicts),
        joins=as_dicts(examined.joins),
        risk=as_dicts(examined.crowds),
        warnings=[*facts.warnings, *examined.warnings],
    )


def _with_written(ctx: Context, facts: Facts, written: Written, schema_changes: tuple[str, ...]) -> Facts:
    commit, contract = written.commit, ctx.contract
    return replace(
        facts,
        rows=written.accounted.as_dict(),
        target=place_of(contract.target, commit),
        merged=commit.merged,
        quarantine=place_of(contract.quarantine_location, written.quarantine) if written.quarantine else None,
        changes=written.changes,
        releases=written.metadata.get("releases"),
        warnings=[*schema_changes, *facts.warnings],
    )


def _seal(ctx: Context, facts: Facts, written: Written) -> Seal:
    """Seal the version; on failure, the error names the rerun that seals it."""
    version = written.commit.version
    try:
        run = SealingRun(ctx.contract, ctx.plan.sha256, ctx.keys, ctx.run_id)
        attested = attest_report(ctx, facts)
        seal = seal_version(ctx.spark, run, version, written.change, **facts.of(Seal), reported=attested)
    except Exception as error:
        why = str(error) if isinstance(error, DatawardError) else reason(error)
        raise TargetError(
            f"{ctx.contract.target} version {version} is committed and not sealed yet: {why}. Mend it and rerun "
            f"with --run-id {ctx.run_id}: that seals this version, and writes no other"
        ) from None
    ctx.trace.sealed_version = version
    return seal


def _heads(ctx: Context, seal: Seal) -> list[str]:
    """Publish the checkpoint that covers a seal; a rerun finishes it."""
    if not ctx.contract.heads:
        return []
    done = f"{ctx.contract.target} version {seal.version} is committed and sealed"
    return keep_heads(
        ctx.contract, done, f"Mend it and rerun with --run-id {ctx.run_id}: that keeps it, and writes no version"
    )


def _parity(ctx: Context, good: DataFrame, columns: ColumnPlan, written: Written) -> list[dict[str, object]]:
    with ctx.trace.phase("parity") as say:
        kept = parity(good, delta.read(ctx.spark, ctx.contract.target, written.commit.version), columns.changed)
        say(f"{len(kept)} columns")
    return [{**asdict(column), "same": column.same} for column in kept]


def _standing(spark: SparkSession, plan: Plan, run_id: str, trace: Trace) -> str:
    """Return one line about what an interrupted run has committed, and how to finish it."""
    target, finish = plan.contract.target, f"rerun with --run-id {run_id} to"
    if trace.sealed_version is not None:
        return f"interrupted: {target} version {trace.sealed_version} is committed and sealed; {finish} complete its report"
    try:
        commit = commits.found_late(spark, target, run_id) if trace.committing else None
    except Exception as error:  # the JVM may have been stopped by the same signal
        return f"interrupted: whether {target} has a version of this run is not known ({reason(error)}); {finish} finish it"
    if commit is not None:
        return f"interrupted: {target} version {commit.version} is committed and not sealed yet; {finish} seal it"
    return f"interrupted: nothing of this run is in {target}; {finish} finish it"
