"""The writes of a run, in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dataward.contract.reserved import RUN_ID
from dataward.errors import AccountingError, SourceChanged
from dataward.integrity.canonical import sha256
from dataward.pipeline.account import Rows
from dataward.pipeline.content import REREAD, Change, Sealing, commit_mac
from dataward.pipeline.context import Context
from dataward.pipeline.facts import pin_facts, place_of
from dataward.pipeline.identify import identified
from dataward.pipeline.intake.base import Intake, Judged, Split
from dataward.pipeline.watch import Watch
from dataward.pipeline.windows import windowed
from dataward.privacy.protect import Protected
from dataward.quality.repair.changes import only_changed
from dataward.report import Place
from dataward.tables import commits
from dataward.tables.delta import Commit

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["WRITES", "Output", "Written", "write"]


@dataclass(frozen=True)
class Output:
    """Everything to write. ``ready``, ``bad`` and ``changes`` are protected."""

    intake: Intake
    judged: Judged
    split: Split
    ready: DataFrame
    bad: DataFrame
    changes: DataFrame | None
    protections: tuple[Protected, ...]


@dataclass(frozen=True)
class Written:
    """Everything written. ``metadata`` goes into every commit: enough to finish the run after an interruption."""

    metadata: dict[str, Any]
    quarantine: Commit | None = None
    changes: Place | None = None
    target: Commit | None = None
    change: Change = REREAD
    rows: Rows | None = None

    @property
    def commit(self) -> Commit:
        """The target's commit."""
        assert self.target is not None  # noqa: S101 - the list of writes ends with it
        return self.target

    @property
    def accounted(self) -> Rows:
        """The balanced account."""
        assert self.rows is not None  # noqa: S101 - the list of writes ends with it
        return self.rows


def write(ctx: Context, output: Output) -> Written:
    """Execute the writes. Each is idempotent by run ID, so that a rerun finishes a run that was killed between two writes.

    Raises:
        SourceChanged: the source's files changed since they were judged; the target is unchanged.
        AccountingError: rows were lost or doubled; the target was restored.
        TargetError: a table cannot be written.
    """
    judged, pinned = output.judged, output.judged.ready.pinned
    metadata = {
        "contract": ctx.contract.contract,
        "contract_sha256": ctx.plan.sha256,
        "verdicts_sha256": sha256(judged.reproducible),
        "source": pin_facts(pinned.source),
        "references": {alias: pin_facts(pin) for alias, pin in pinned.references.items()},
        "as_of": ctx.now.isoformat(),
        "mode": ctx.contract.target.mode,
        "target_version": ctx.target.version if ctx.target else -1,
        "key_versions": {one.column: f"{one.domain} v{one.key_version}" for one in output.protections if one.domain},
    }
    written = Written(metadata)
    for _, step in WRITES:
        written = step(ctx, output, written)
    return written


def _states(ctx: Context, output: Output, written: Written) -> Written:
    marks = output.intake.marks(ctx, output.judged.ready.pinned)
    return replace(written, metadata={**written.metadata, **marks})


def _transaction(ctx: Context, written: Written) -> commits.Transaction:
    return commits.Transaction(ctx.run_id, written.metadata)


def _quarantine(ctx: Context, output: Output, written: Written) -> Written:
    """Write diverted rows before the target, so that a run killed between the two has lost no row."""
    from pyspark.sql import functions as F

    place = ctx.contract.quarantine_location
    if place is None or not output.judged.counted.diverted or "quarantine" not in output.intake.beside:
        return written
    rows = identified(ctx, output.bad).withColumn(RUN_ID, F.lit(ctx.run_id))
    return replace(written, quarantine=commits.append_once(ctx.spark, rows, place, _transaction(ctx, written)))


def _changes(ctx: Context, output: Output, written: Written) -> Written:
    """Write each changed cell before and after, with the columns that identify its row."""
    from pyspark.sql import functions as F

    contract, place = ctx.contract, ctx.contract.changes_location
    if output.changes is None or place is None or "changes" not in output.intake.beside:
        return written
    finds = {name.lower() for name in (*contract.target.on, *contract.target.partition_by)}
    finds |= {contract.erasure.subject.lower()} if contract.erasure else set()
    own = {name: name.lower() in finds for name in output.judged.mended.plain.columns}
    rows = identified(ctx, only_changed(output.changes, own)).withColumn(RUN_ID, F.lit(ctx.run_id))
    commit = commits.append_once(ctx.spark, rows, place, _transaction(ctx, written))
    return replace(written, changes=place_of(place, commit))


def _target(ctx: Context, output: Output, written: Written) -> Written:
    """Commit the target, unless the source's files changed since they were judged."""
    contract, pinned = ctx.contract, output.judged.ready.pinned
    if pinned.changed(ctx.spark):
        raise SourceChanged(
            f"source {contract.source} or a reference: its files changed after they were judged. Nothing was "
            "published; rerun"
        )
    columns, table = output.judged.ready.columns, output.judged.ready.table
    manner = commits.Manner(columns.shadows, output.intake.swapped(pinned), table)
    statistics = columns.statistics(output.ready.schema)
    ctx.trace.committing = True
    with Watch(ctx.spark, sealing(ctx, 0).secret, not ctx.earlier.metadata, columns.repeatable) as watch:
        manner = replace(manner, watch=watch.through)
        # In no other table, from which somebody could copy it into a commit of the target that the run never made.
        mac = commit_mac(sealing(ctx, 0).secret, ctx.contract, ctx.run_id, written.metadata)
        transaction = commits.Transaction(ctx.run_id, {**written.metadata, "mac": mac}, tuple(statistics))
        commit = commits.commit_target(ctx.spark, output.ready, contract.target, transaction, manner)
        change = watch.change(sealing(ctx, commit.version), commit)
    return replace(written, target=commit, change=change)


def sealing(ctx: Context, version: int) -> Sealing:
    """Return the inputs for sealing a version of the target."""
    domain = ctx.contract.keys.domain
    return Sealing(ctx.spark, ctx.contract, ctx.keys, domain, ctx.keys.current(domain), version)


def _account(ctx: Context, output: Output, written: Written) -> Written:
    """Revert the commit if a row was lost or doubled, or if the source changed while it was read."""
    quarantined = written.quarantine.rows if written.quarantine else 0
    rows = output.intake.account(output.judged, output.split, written.commit.rows, quarantined)
    if rows.balanced and not output.judged.ready.pinned.changed(ctx.spark):
        output.intake.after_commit(ctx, output.judged, output.split)
        return replace(written, rows=rows)
    commits.restore(ctx.spark, ctx.contract.target, written.commit)
    why, first = ", or the source's files changed while they were read", ""
    if ctx.contract.target.mode == "merge" and rows.published + rows.quarantined + rows.dropped > rows.taken_in:
        why = f": several rows of the target have one key ({', '.join(ctx.contract.target.on)}), and a merge updates all of them"
        first = "remove the doubled rows from the target, or use mode overwrite, and "
    raise AccountingError(
        f"{ctx.contract.target}: {rows.words}{why}. Version {written.commit.version} was taken back; {first}rerun with a new --run-id"
    )


def _windows(ctx: Context, output: Output, written: Written) -> Written:
    """Write the measurements of the rules in each window."""
    from pyspark.sql import functions as F

    contract, judged = ctx.contract, output.judged
    if contract.windows and "windows" in output.intake.beside:
        found = windowed(judged.ready.columns, judged.ready.suite, judged.mended.frame, ctx.now)
        rows = found.withColumn(RUN_ID, F.lit(ctx.run_id))
        commits.append_once(ctx.spark, rows, contract.windows_location, _transaction(ctx, written))
    return written


Step = Callable[[Context, Output, Written], Written]

WRITES: tuple[tuple[str, Step], ...] = (
    ("states", _states),
    ("quarantine", _quarantine),
    ("changes", _changes),
    ("target", _target),
    ("account", _account),
    ("windows", _windows),
)
"""Writes in order; the history is written before all of them."""
