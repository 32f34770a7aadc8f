"""Publish a stream with a contract: every micro-batch is a publish under a run ID that its number determines.

Structured Streaming repeats a batch until its end is in the checkpoint. A sealed batch is not repeated, a killed one is
finished, and one that stops (a rule, a limit) ends the stream before the checkpoint advances: each batch is in the target
exactly once, and checkpoint and target always agree.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.errors import Interrupted, SourceError, UsageError
from dataward.integrity.canonical import sha256
from dataward.pipeline.context import Asked, Progress
from dataward.pipeline.engine import with_engine
from dataward.pipeline.guard import guarded
from dataward.pipeline.intake.batch import MicroBatch
from dataward.pipeline.plan import Plan
from dataward.pipeline.publish import reported
from dataward.report import RunResult
from dataward.spark.kind import is_remote
from dataward.spark.session import activate, interruptible, isolated
from dataward.tables import maintenance
from dataward.tables.reason import reason
from dataward.tables.source import streaming
from dataward.verbs.batches import FixedBatch, bounded

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Following", "stream"]

QUERY = "sql.streaming.queryId"


@dataclass(frozen=True)
class Following:
    """Callbacks of a stream: ``progress`` gets lines of text, ``after`` the result of each batch."""

    progress: Progress = lambda line: None
    after: Callable[[RunResult], None] = lambda result: None


SILENT = Following()


@guarded("publish")
def stream(
    spark: SparkSession,
    plan: Plan,
    checkpoint: str,
    every: str | None = None,
    report_folder: str = "reports",
    following: Following = SILENT,
) -> list[RunResult]:
    """Publish the rows that arrived since the checkpoint, batch by batch.

    Args:
        spark: the session.
        plan: plan of the contract.
        checkpoint: folder of the stream's checkpoint.
        every: interval ("30 seconds") at which to continue without end; None: end after the present rows, as always through Spark Connect.
        report_folder: folder of the batches' reports.
        following: called during the stream.

    Returns:
        One result per batch; if a batch stopped the stream, its result is the last one.

    Raises:
        UsageError: the contract's target or source does not support streams.
        DatawardError: like ``publish``; the next start of the stream repeats the batch.
    """
    _fits(spark, plan, every)
    plan = with_engine(spark, plan)
    results, failed = list[RunResult](), list[BaseException]()

    def one(batch: DataFrame, number: int) -> None:
        try:
            result = _published(batch, number, plan, checkpoint, report_folder, following.progress)
            results.append(result)
            following.after(result)
            if result.status == "stopped":
                raise _Stopped
        except BaseException as error:
            failed.append(error)
            raise RuntimeError("the batch was not published") from None  # the JVM waits only for an Exception

    if is_remote(spark):
        return _bounded(spark, plan, checkpoint, report_folder, following)
    with isolated(spark) as own:
        writer = streaming(own, plan.contract.source).writeStream.foreachBatch(one)
        trigger: dict[str, Any] = {"processingTime": every} if every else {"availableNow": True}
        query = writer.option("checkpointLocation", checkpoint).trigger(**trigger).start()
        try:
            with interruptible(own):
                query.awaitTermination()
        except KeyboardInterrupt:
            raise _interrupted(results, checkpoint) from None
        except Exception as error:
            if failed and not isinstance(failed[0], _Stopped):
                raise failed[0] from None
            if not failed:
                raise SourceError(f"stream {plan.contract.source}: {reason(error)}") from None
        finally:
            query.stop()
    return results


def _bounded(
    spark: SparkSession, plan: Plan, checkpoint: str, report_folder: str, following: Following
) -> list[RunResult]:
    results = list[RunResult]()
    try:
        with isolated(spark) as own:
            for result in bounded(own, plan, checkpoint, report_folder, following.progress):
                results.append(result)
                following.after(result)
                if result.status == "stopped":
                    break
    except KeyboardInterrupt:
        raise _interrupted(results, checkpoint) from None
    return results


def _interrupted(results: list[RunResult], checkpoint: str) -> Interrupted:
    return Interrupted(
        f"interrupted: {len(results)} batches of this start are done; start the stream again with --stream {checkpoint} to finish the "
        "one that was under way"
    )


class _Stopped(Exception):
    """Error for a batch that published nothing, so that the checkpoint does not advance."""


def _fits(spark: SparkSession, plan: Plan, every: str | None) -> None:
    target, source = plan.contract.target, plan.contract.source
    if is_remote(spark) and every:
        raise UsageError(
            "through Spark Connect a stream ends after the present data: leave out --every (every=), and start it on a schedule"
        )
    if target.mode not in ("append", "merge"):
        raise UsageError(
            f"a stream adds to its target: mode {target.mode} would lose the batches before; use append or merge"
        )
    if source.version is not None:
        raise UsageError("a stream has no version: remove 'version' from the source")
    if source.sealed:
        raise UsageError("the rows of a stream's batch are no version with a seal: remove 'sealed' from the source")


def _published(
    batch: DataFrame, number: int, plan: Plan, checkpoint: str, report_folder: str, progress: Progress
) -> RunResult:
    spark = batch.sparkSession  # the stream's own: it has the settings of an isolated one
    query = str(spark.sparkContext.getLocalProperty(QUERY))
    activate(spark)  # batches run in threads of their own
    with ExitStack() as held:
        offsets = maintenance.read_bytes(spark, f"{checkpoint.rstrip('/')}/offsets/{number}").decode()
        digest = sha256([str(plan.contract.source), query, number, offsets])
        pin = FixedBatch(
            batch, f"{plan.contract.source}, batch {number} of stream {query}", None, digest, plan.contract.source
        )
        asked = Asked(plan, f"stream-{query}-{number:08d}", report_folder, progress)
        return reported(spark, asked, MicroBatch(pin), held)
