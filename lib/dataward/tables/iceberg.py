"""Read an Iceberg table at one snapshot, through Iceberg's runtime for Spark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataward.contract import Source
from dataward.errors import SourceError
from dataward.spark.sql import literal
from dataward.tables.reading import option

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["at_snapshot"]

ROWS = frozenset(["snapshot-id", "as-of-timestamp", "start-snapshot-id", "end-snapshot-id", "stream-from-timestamp"])
"""Options of Iceberg's reader that choose rows, in lower case."""


def at_snapshot(spark: SparkSession, source: Source, snapshot: int | None) -> tuple[DataFrame, int]:
    """Return the rows of a snapshot, and its ID.

    Args:
        spark: the session.
        source: a table of an Iceberg catalog, or the folder of a Hadoop table.
        snapshot: ID; None: the newest snapshot of the contract's branch or tag, else of branch main.

    Raises:
        SourceError: the table has no such snapshot, branch or tag, or an option would read other rows than those of a snapshot.
    """
    options = {name: option(value) for name, value in source.reader_options.items()}
    if other := sorted({*options} & ROWS):
        raise SourceError(
            f"source {source}: option '{other[0]}' does not name one snapshot: give source.version, or option branch or tag"
        )
    named = options.pop("branch", None) or options.pop("tag", None)
    if snapshot is None:
        newest = (
            _beside(spark, source, "refs").where(f"name = {literal(named or 'main')}").select("snapshot_id").first()
        )
        if newest is None and named is None:
            raise SourceError(f"source {source}: the Iceberg table has no snapshot yet: nothing was written to it")
        if newest is None:
            raise SourceError(f"source {source}: the Iceberg table has no branch or tag '{named}'")
        snapshot = int(newest[0])
    elif _beside(spark, source, "snapshots").where(f"snapshot_id = {snapshot}").isEmpty():
        raise SourceError(f"source {source}: the Iceberg table has no snapshot {snapshot}; it may have expired")
    pinned = spark.read.options(**options).option("snapshot-id", str(snapshot))
    return (pinned.table(source.table) if source.table else pinned.format("iceberg").load(str(source.path))), snapshot


def _beside(spark: SparkSession, source: Source, name: str) -> DataFrame:
    """Return one of the tables that Iceberg keeps about a table."""
    if source.table:
        return spark.table(f"{source.table}.{name}")
    return spark.read.format("iceberg").load(f"{source.path}#{name}")
