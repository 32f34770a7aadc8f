"""Hold a frame in memory for several passes, with a plan that begins at the cached rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.spark import moved
from dataward.spark.kind import is_remote

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["Held", "hold", "persisted"]


@dataclass(frozen=True)
class Held:
    """A frame that was computed and persisted.

    Attributes:
        frame: reads the persisted rows. Its plan has no lineage, so that plans which use it do not print it again; the RDD below
            has its lineage, so that rows of a lost executor are computed again.
        kept: the persisted frame; None where the platform persists nothing.
    """

    frame: DataFrame
    kept: DataFrame | None

    def release(self) -> None:
        """Unpersist the frame."""
        if self.kept is not None:
            self.kept.unpersist()


def hold(frame: DataFrame) -> Held:
    """Compute a frame (one Spark job) and persist it until :meth:`Held.release`."""
    kept = persisted(frame)
    if kept is None:
        return Held(frame, None)
    try:
        kept.count()
    except Exception:
        kept.unpersist()
        raise
    return Held(kept if is_remote(frame.sparkSession) else _without_lineage(kept), kept)


def persisted(frame: DataFrame) -> DataFrame | None:
    """Mark a frame to be persisted when it is computed; None where the platform persists nothing (Databricks serverless)."""
    try:
        return frame.persist()
    except Exception:
        if not is_remote(frame.sparkSession):
            raise
    return None


def _without_lineage(kept: DataFrame) -> DataFrame:
    """Return a frame over the RDD of a persisted one, with its statistics; the frame itself where Spark's internals differ."""
    try:
        planned: Any = kept.select("*")._jdf  # planned now, it reads the persisted rows
        jvm: Any = kept.sparkSession.sparkContext._jvm
        logical: Any = getattr(getattr(jvm.org.apache.spark.sql.execution, "LogicalRDD$"), "MODULE$")
        plan = logical.fromDataset(planned.queryExecution().toRdd(), planned, False)
        found: DataFrame = moved.rows_of(kept.sparkSession, plan, planned.sparkSession())
        return found
    except Exception:
        return kept
