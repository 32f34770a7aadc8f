"""Publish from a notebook: a contract by its path, and the session that is there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataward.errors import UsageError
from dataward.pipeline.context import Progress, silent
from dataward.pipeline.plan import Plan
from dataward.pipeline.plan import plan as read_plan
from dataward.pipeline.publish import publish as publish_plan
from dataward.report import RunResult
from dataward.spark import session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["publish"]


def publish(
    spark: SparkSession | Plan | str | Path,
    plan: Plan | str | Path | None = None,
    run_id: str | None = None,
    report_folder: str = "reports",
    progress: Progress = silent,
    source: DataFrame | None = None,
) -> RunResult:
    """Publish a contract: ``publish(spark, plan)``, or ``publish("people.yaml")`` in the active session.

    Args:
        spark: the session; left out, the session of ``source``, or else the active one, or a new local one.
        plan: a contract's path, or its plan.
        run_id: None for a new one. A rerun of a run ID repeats nothing that the run did, and finishes the rest.
        report_folder: folder of reports.
        progress: gets lines of text.
        source: the rows, for a contract whose source has ``format: frame``. They are evaluated once.

    Raises:
        DatawardError: see ``dataward.errors``; the target's newest version is then unchanged, or a whole new one.
    """
    if source is not None and not hasattr(source, "sparkSession"):
        kind = f"{type(source).__module__}.{type(source).__name__}"
        raise UsageError(f"source is a {kind}, not a DataFrame of Spark: pass spark.createDataFrame(rows)")
    given: Any = plan
    where: Any = spark
    if isinstance(spark, Plan | str | Path):
        if plan is not None:
            raise UsageError("give publish(spark, contract), or publish(contract) alone: two contracts were given")
        given, where = spark, source.sparkSession if source is not None else _present()
    if given is None:
        raise UsageError("name the contract: publish(spark, 'people.yaml'), or publish('people.yaml')")
    planned = given if isinstance(given, Plan) else read_plan(given)
    return publish_plan(where, planned, run_id, report_folder, progress, source)


def _present() -> SparkSession:
    from pyspark.sql import SparkSession

    return SparkSession.getActiveSession() or session.get()
