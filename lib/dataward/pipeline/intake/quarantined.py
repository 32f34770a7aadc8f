"""Take in the source of an earlier run again, and publish the rows that the run diverted and that the contract now accepts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from dataward.contract import Location
from dataward.contract.reserved import INTERNAL, ROW_ID, RUN_ID
from dataward.errors import UsageError
from dataward.pipeline import resume
from dataward.pipeline.account import Rows
from dataward.pipeline.context import Context
from dataward.pipeline.intake.base import Judged, Pinned, Ready, Split, Waiting
from dataward.pipeline.intake.whole import WholeTable
from dataward.pipeline.repair import Mended
from dataward.pipeline.replaced import Later, later, still_due
from dataward.privacy.protect.operator import Key
from dataward.privacy.protect.row_ids import with_row_ids
from dataward.quality.internal import SOURCE_ROW
from dataward.spark.held import persisted
from dataward.tables import delta, maintenance

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["QuarantinedRows"]

GOOD, ALL, WAITING, RANK = (f"{INTERNAL}{name}" for name in ("good", "all", "waiting", "rank"))


@dataclass(frozen=True)
class QuarantinedRows(WholeTable):
    """Rows of ``of_run`` in the quarantine. The diverting run has measured and stored them: no table beside the target is written."""

    of_run: str
    place: Location
    part_of_many = True
    beside: ClassVar[frozenset[str]] = frozenset()

    @property
    def releases(self) -> str:
        """The run whose rows are released."""
        return self.of_run

    def pin(self, ctx: Context) -> Pinned:
        """Pin the source at the version of the earlier run, and the quarantine at its present version."""
        from pyspark.sql import functions as F

        began = delta.find_run(ctx.spark, self.place, self.of_run, None)
        if began is None:
            raise UsageError(f"run '{self.of_run}' has put nothing into {self.place}: see dataward quarantine list")
        earlier = ctx.earlier.metadata
        version = earlier["quarantine_version"] if earlier else delta.latest_version(ctx.spark, self.place)
        frame = delta.read(ctx.spark, self.place, version).where(F.col(RUN_ID) == self.of_run)
        rows = int(frame.count())
        if not rows:
            raise UsageError(f"no row of run '{self.of_run}' waits in {self.place}: see dataward quarantine list")
        waiting = Waiting(self.of_run, self.place, version, frame, rows)
        if not earlier:  # else the rows are in the target already, and the release has only to be finished
            waiting = self._due(ctx, waiting)
        source, references = resume.pinned(ctx.spark, ctx.contract, self.of_run, began.metadata)
        replaced = (
            f"; {rows - waiting.rows:,} of {rows:,} waiting rows were replaced since" if rows > waiting.rows else ""
        )
        return Pinned(source, references, source.described + replaced, replaces_all=False, waiting=waiting)

    def _due(self, ctx: Context, waiting: Waiting) -> Waiting:
        """Return the waiting rows that no later version of the target replaced.

        Raises:
            UsageError: all of them were.
        """
        target = ctx.contract.target
        then = later(delta.commits(ctx.spark, target, present=ctx.target), self.of_run) if ctx.target else Later()
        frame = still_due(ctx.spark, target, waiting.frame, then)
        due = int(frame.count())
        if due:
            return replace(waiting, frame=frame, rows=due)
        what = f"{target} has newer rows with their keys, written since"
        if then.by:
            what = f"{then.by} replaced the rows of {target} that they belong to, and judged its source again"
        raise UsageError(
            f"no row of run '{self.of_run}' may be released: {what}. Release what the later runs diverted (dataward quarantine "
            f"list), and remove these: dataward quarantine discard --contract FILE --run {self.of_run} --replaced --reason TEXT"
        )

    def try_protections(self, ctx: Context, ready: Ready, mended: Mended) -> None:
        """Do nothing: the rows to release are not known yet, and other rows of the source must not stop the release."""

    def marks(self, ctx: Context, pinned: Pinned) -> dict[str, Any]:
        """Return the released run and the version of the quarantine."""
        return {"releases": self.of_run, "quarantine_version": _of(pinned).version}

    def split(self, ctx: Context, judged: Judged) -> Split:
        """Choose the waiting rows that no rule diverts now; no row is diverted again."""
        from pyspark.sql import Window
        from pyspark.sql import functions as F

        waiting = _of(judged.ready.pinned)
        everything, bad = judged.mended.parted(judged.judgement.diverting, ctx.now)
        good, raw = self._known(ctx, waiting.frame, everything, bad)
        copies = waiting.frame.groupBy(ROW_ID).agg(F.count("*").alias(WAITING))
        of_good = good.join(copies, ROW_ID, "leftsemi").groupBy(ROW_ID).agg(F.count("*").alias(GOOD))
        of_raw = raw.join(copies, ROW_ID, "leftsemi").groupBy(ROW_ID).agg(F.count("*").alias(ALL))
        ready = copies.join(of_good, ROW_ID).join(of_raw, ROW_ID).where(f"{GOOD} = {ALL}")
        ids = ready.select(ROW_ID, WAITING)
        if (kept := persisted(ids)) is not None:
            ctx.resources.callback(kept.unpersist)
            ids = kept
        expected = sum(row[0] or 0 for row in ids.agg(F.sum(WAITING)).collect())
        ranked = good.join(ids, ROW_ID).withColumn(
            RANK, F.row_number().over(Window.partitionBy(ROW_ID).orderBy(F.lit(0)))
        )
        released = ranked.where(f"{RANK} <= {WAITING}").drop(ROW_ID, RANK, WAITING)
        return Split(released, bad, ids.select(ROW_ID), expected)

    def _known(
        self, ctx: Context, waiting: DataFrame, everything: DataFrame, bad: DataFrame
    ) -> tuple[DataFrame, DataFrame]:
        """Return rows with the IDs of the earlier run: the good rows with all columns, and the IDs of all rows."""
        some = waiting.select(ROW_ID).head(1)[0]
        version = int(some[ROW_ID].partition(".")[0].removeprefix("v"))
        domain = ctx.contract.keys.domain
        key = Key(domain, version, ctx.keys.key("token", domain, version))
        both = everything.select(SOURCE_ROW).unionByName(bad.select(SOURCE_ROW))
        return (
            with_row_ids(everything, SOURCE_ROW, self.of_run, key),
            with_row_ids(both, SOURCE_ROW, self.of_run, key),
        )

    def nothing_left(self, judged: Judged, split: Split) -> Rows | None:
        """End without a version where no row may be published."""
        waiting = _of(judged.ready.pinned).rows
        return None if split.expected else Rows(waiting, 0, waiting)

    def account(self, judged: Judged, split: Split, published: int, quarantined: int) -> Rows:
        """Account for the waiting rows: published, or still waiting."""
        waiting = _of(judged.ready.pinned).rows
        return Rows(waiting, published, waiting - published, expected=split.expected)

    def after_commit(self, ctx: Context, judged: Judged, split: Split) -> None:
        """Delete the released rows from the quarantine."""
        assert split.released is not None  # noqa: S101 - `split` made it
        metadata = {"run_id": ctx.run_id, "contract_sha256": ctx.plan.sha256, "releases": self.of_run}
        maintenance.delete_rows(ctx.spark, self.place, ROW_ID, split.released, metadata)


def _of(pinned: Pinned) -> Waiting:
    assert pinned.waiting is not None  # noqa: S101 - `pin` made it
    return pinned.waiting
