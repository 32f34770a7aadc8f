"""Run small inputs with one partition and without adaptive planning, so that the stages of a plan are not separate jobs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dataward.pipeline.context import Context
from dataward.spark.settings import setting, settings
from dataward.tables import delta

if TYPE_CHECKING:
    from dataward.pipeline.intake.base import Pinned

__all__ = ["SETTINGS", "is_small", "settle_small"]

ROWS = 10_000
"""Most rows per shuffle partition of a small input."""

ROW_BYTES = 50
"""Approximate bytes of one row in a file: the comparison uses file sizes, which are known before files are read."""

MOST = 32 << 20
"""Most bytes that one task may read and sort, whatever the number of partitions."""

PARTITIONS = 200
"""Shuffle partitions where the session sets no number (Databricks sets "auto")."""

SETTINGS = {
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.files.minPartitionNum": "1",
    "spark.sql.leafNodeDefaultParallelism": "1",
}


def is_small(sizes: Iterable[int | None], partitions: int) -> bool:
    """Return whether inputs of these sizes (bytes; None: unknown) are small for a session's number of shuffle partitions."""
    known = list(sizes)
    if None in known:
        return False
    return sum(size or 0 for size in known) <= min(partitions * ROWS * ROW_BYTES, MOST)


def settle_small(ctx: Context, pinned: Pinned) -> bool:
    """Configure the run's isolated session for small inputs, and return whether they are small.

    A merge, and a comparison with another table, read more than the source: those tables count too.
    """
    sizes = [pinned.source.size, *(pin.size for pin in pinned.references.values())]
    if ctx.contract.target.mode in ("merge", "replace") and ctx.target is not None:
        sizes.append(ctx.target.size)
    for _, other in ctx.plan.joins:
        present = delta.newest(ctx.spark, other.target)
        sizes.append(present.size if present else 0)
    given = setting(ctx.spark, "spark.sql.shuffle.partitions")
    small = is_small(sizes, int(given) if given.isdigit() else PARTITIONS)
    if small:
        ctx.resources.enter_context(settings(ctx.spark, SETTINGS, hints=True))
    return small
