"""Take in the partitions whose source changed (mode refresh)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dataward.pipeline import resume
from dataward.pipeline.context import Context
from dataward.pipeline.decide import Counted
from dataward.pipeline.identify import admitted
from dataward.pipeline.intake.base import Judged, Pinned, Ready
from dataward.pipeline.intake.whole import WholeTable
from dataward.pipeline.refresh import Refresh
from dataward.pipeline.repair import Mended
from dataward.pipeline.replaced import replaced_parts
from dataward.quality.split import failed_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["ChangedPartitions"]


class ChangedPartitions(WholeTable):
    """Rows of changed partitions; the verdicts are those of the whole table."""

    def pin(self, ctx: Context) -> Pinned:
        """Pin the source, and compare its partitions with those of the target's last refresh."""
        source, references = resume.pinned(
            ctx.spark, ctx.contract, ctx.run_id, ctx.earlier.metadata, schema_only=True
        )  # files are checked once it is known which of them are read
        refresh = Refresh(ctx.spark, ctx.plan, ctx.keys, source, references, ctx.earlier.metadata)
        ctx.resources.callback(refresh.release)
        words = f"{source.described}, {refresh}"
        return Pinned(source, references, words, refresh.base is None, refresh)

    def rows(self, ctx: Context, pinned: Pinned) -> DataFrame:
        """Return the rows of changed partitions."""
        return _of(pinned).frame

    def judge(self, ctx: Context, ready: Ready, mended: Mended) -> Judged:
        """Judge the whole table from these rows and the states of the other partitions."""
        judgement = self._verdicts(ctx, ready, mended, _of(ready.pinned).measure)
        whole = _of(ready.pinned).completed(
            ready.suite, judgement.diverting, ctx.now, lambda frame: admitted(ctx.contract, ready.memory, frame)
        )
        return Judged(ready, judgement, whole, f"{judgement}{_of(ready.pinned).also}")

    def count(self, ctx: Context, judged: Judged) -> Counted:
        """Count the rows to divert among those that are read; the verdicts include other partitions."""
        judgement = judged.judgement
        failed = failed_rows(judged.mended.frame, judgement.diverting, ctx.now) if judgement.diverting else 0
        return Counted(judgement.rows, _of(judged.ready.pinned).rows, failed)

    def marks(self, ctx: Context, pinned: Pinned) -> dict[str, Any]:
        """Write the states of this run, and name the partitions that it replaces."""
        refresh = _of(pinned)
        replaced = replaced_parts(refresh.parts.columns, [*refresh.read, *refresh.gone]) if refresh.base else {}
        return {"states": refresh.keep(ctx.run_id, ctx.plan.sha256), **replaced}

    def swapped(self, pinned: Pinned) -> str | None:
        """Swap the partitions that were read or removed."""
        return _of(pinned).where


def _of(pinned: Pinned) -> Refresh:
    """Return the refresh of this run."""
    assert pinned.refresh is not None  # noqa: S101 - `pin` made it
    return pinned.refresh
