"""Read an Iceberg table at one snapshot, through Iceberg's runtime for Spark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataward.contract import Source
from dataward.errors import SourceError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["at_snapshot"]


def at_snapshot(spark: SparkSession, source: Source, snapshot: int | None) -> tuple[DataFrame, int]:
    """Return the rows of a snapshot, and its ID.

    Args:
        spark: the session.
        source: a table of an Iceberg catalog, or the folder of a Hadoop table.
        snapshot: ID; None: the newest snapshot of branch main.

    Raises:
        SourceError: the table has no snapshot yet.
    """
    reader = spark.read.format("iceberg")
    if snapshot is None:
        refs = spark.table(f"{source.table}.refs") if source.table else reader.load(f"{source.path}#refs")
        newest = refs.where("name = 'main'").select("snapshot_id").first()
        if newest is None:
            raise SourceError(f"source {source}: the Iceberg table has no snapshot yet: nothing was written to it")
        snapshot = int(newest[0])
    pinned = spark.read.option("snapshot-id", str(snapshot))
    return (pinned.table(source.table) if source.table else pinned.format("iceberg").load(str(source.path))), snapshot
