"""Take in one micro-batch of a stream."""

from __future__ import annotations

from dataclasses import dataclass

from dataward.errors import SourceChanged
from dataward.pipeline import resume
from dataward.pipeline.context import Context
from dataward.pipeline.intake.base import Pinned
from dataward.pipeline.intake.whole import WholeTable
from dataward.tables.source import Pin

__all__ = ["MicroBatch"]


@dataclass(frozen=True)
class MicroBatch(WholeTable):
    """Rows between fixed offsets of the stream's checkpoint."""

    batch: Pin
    part_of_many = True

    def pin(self, ctx: Context) -> Pinned:
        """Pin the batch; a rerun must receive the same rows."""
        earlier = ctx.earlier.metadata
        if earlier and earlier["source"]["sha256"] != self.batch.digest:
            raise SourceChanged(f"run '{ctx.run_id}' began with other rows: the checkpoint is not the one it was")
        references = resume.references(ctx.spark, ctx.contract, ctx.run_id, earlier)
        return Pinned(self.batch, references, self.batch.described, replaces_all=False)
