"""Delta tables by path or by name: versions and what their log tells. Writing is in :mod:`dataward.tables.commits`."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dataward.contract import Location
from dataward.spark import sql
from dataward.tables import files
from dataward.tables.reason import reason

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import DataType

__all__ = [
    "MAPPING",
    "ROW_NEUTRAL",
    "UNMAPPED",
    "Commit",
    "commit_file",
    "exists",
    "find_run",
    "history",
    "laid_out_by",
    "latest_version",
    "maps_columns",
    "needs_mapping",
    "read",
    "snapshot",
    "table_id",
]


MAPPING = {"delta.columnMapping.mode": "name"}

UNMAPPED = re.compile(r"[ ,;{}()\n\t=]")
"""What the name of a column (or of a field in it) holds that only a table with column mapping takes."""

ROW_NEUTRAL = frozenset(
    [
        "OPTIMIZE",
        "SET TBLPROPERTIES",
        "UNSET TBLPROPERTIES",
        "VACUUM START",
        "VACUUM END",
        "REORG",
        "CHANGE COLUMN",
        "UPGRADE PROTOCOL",
        "FSCK",
    ]
)
"""Operations that change no row, if they are what they claim to be."""


@dataclass(frozen=True)
class Commit:
    """One version of a table as its history tells it; ``metadata`` is what Dataward wrote into userMetadata.

    ``replaces_all``: no row of the version before it is left. ``merged``: rows that a merge inserted and updated.
    """

    version: int
    timestamp: str
    operation: str
    rows: int
    metadata: dict[str, Any]
    user: str | None = None
    replaces_all: bool = False
    merged: dict[str, int] = field(default_factory=dict)


def delta_table(spark: SparkSession, place: Location) -> Any:
    from delta.tables import DeltaTable

    return DeltaTable.forPath(spark, place.path) if place.path else DeltaTable.forName(spark, str(place.table))


def location(spark: SparkSession, place: Location) -> str:
    """Where the table is, as an absolute URI (SQL takes no relative path)."""
    if place.path is not None:
        return files.qualified(spark, place.path)
    return str(delta_table(spark, place).detail().select("location").first()[0])


def identifier(spark: SparkSession, place: Location) -> str:
    """An existing table in SQL text."""
    return sql.identifier("delta", location(spark, place)) if place.path else str(place.table)


def exists(spark: SparkSession, place: Location) -> bool:
    """Return whether a Delta table exists."""
    from delta.tables import DeltaTable

    if place.path is not None:
        return bool(DeltaTable.isDeltaTable(spark, place.path))
    return bool(spark.catalog.tableExists(str(place.table)))


def history(spark: SparkSession, place: Location, limit: int | None = None) -> list[Commit]:
    """Newest first. Versions whose commit files were cleaned up are not in it."""
    table = delta_table(spark, place)
    rows = (table.history(limit) if limit else table.history()).select(
        "version", "timestamp", "operation", "operationMetrics", "operationParameters", "userMetadata", "userName"
    )
    return [
        Commit(
            row.version,
            row.timestamp.isoformat(),
            row.operation,
            _rows_written(row.operation, row.operationMetrics or {}),
            _metadata(row.userMetadata),
            row.userName,
            _replaces_all(row.operation, row.operationParameters or {}),
            _merged(row.operationMetrics or {}) if row.operation == "MERGE" else {},
        )
        for row in rows.collect()
    ]


def _replaces_all(operation: str, parameters: dict[str, str]) -> bool:
    return (
        operation == "WRITE"
        and parameters.get("mode") == "Overwrite"
        and not parameters.get("predicate", "").strip("[]")
    )


def _rows_written(operation: str, metrics: dict[str, str]) -> int:
    if operation == "MERGE":
        return sum(_merged(metrics).values())
    return int(metrics.get("numOutputRows", 0))


def _merged(metrics: dict[str, str]) -> dict[str, int]:
    return {what: int(metrics.get(f"numTargetRows{what.title()}", 0)) for what in ("inserted", "updated")}


def _metadata(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) and "dataward" in found else {}


def latest_version(spark: SparkSession, place: Location) -> int:
    """Return the newest version of a table."""
    return history(spark, place, limit=1)[0].version


def table_id(spark: SparkSession, place: Location) -> str:
    """Return the id of a table."""
    return str(delta_table(spark, place).detail().select("id").first()[0])


def find_run(spark: SparkSession, place: Location, run_id: str, limit: int | None = 50) -> Commit | None:
    """The commit of a run among the newest ``limit`` (None: all that the log still has)."""
    if not exists(spark, place):
        return None
    return next((found for found in history(spark, place, limit) if found.metadata.get("run_id") == run_id), None)


def maps_columns(spark: SparkSession, place: Location) -> bool:
    """Whether a table has column mapping, so that its columns may have any name."""
    properties = delta_table(spark, place).detail().select("properties").first()[0]
    return str(properties.get("delta.columnMapping.mode", "none")) != "none"


def needs_mapping(kind: DataType) -> bool:
    """Whether a type has fields, at any depth, whose names Delta takes only with column mapping."""
    inner = [getattr(kind, name, None) for name in ("elementType", "keyType", "valueType")]
    inner += [field.dataType for field in getattr(kind, "fields", ())]
    named = any(UNMAPPED.search(field.name) for field in getattr(kind, "fields", ()))
    return named or any(needs_mapping(one) for one in inner if one is not None)


def laid_out_by(spark: SparkSession, place: Location) -> dict[str, str]:
    """The columns whose values decide in which file a row lies, and why: partition, clustering, or Z-order (of the log)."""
    table = delta_table(spark, place)
    partitions, clustered = _layout(spark, place, table)
    found = dict.fromkeys(clustered, "clustering column")
    optimized = table.history().where("operation = 'OPTIMIZE'").select("operationParameters").collect()
    for row in optimized:
        found |= dict.fromkeys(json.loads(row.operationParameters.get("zOrderBy") or "[]"), "Z-order column")
    return found | dict.fromkeys(partitions, "partition column")


def _layout(spark: SparkSession, place: Location, table: Any) -> tuple[list[str], list[str]]:
    """Read the partition and the clustering columns; DESCRIBE DETAIL, a Spark job, only where the log does not tell."""
    with suppress(Exception):  # a platform that hides its log
        metadata = newest_metadata(spark, place)
        if "clustering" not in metadata["features"]:
            return metadata["partitionColumns"], []
    detail = table.detail().first().asDict()
    return list(detail.get("partitionColumns") or ()), list(detail.get("clusteringColumns") or ())


def snapshot(spark: SparkSession, place: Location, version: int) -> Any:
    """Delta's own object for a version (in the JVM), for what neither SQL nor the DataFrame API shows.

    Raises:
        Exception: of any kind, where this platform's Delta has other internals than Delta 3.3.
    """
    jvm: Any = spark.sparkContext._jvm
    nothing = getattr(jvm.scala, "Option").apply(None)  # noqa: B009 - a name that Python keeps for itself
    log = jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, location(spark, place))
    return log.getSnapshotAt(version, nothing, nothing)


def newest_metadata(spark: SparkSession, place: Location) -> dict[str, Any]:
    """Read the newest version's metadata action as the log has it, with ``features`` of its protocol; no Spark job.

    Raises:
        Exception: of any kind, where this platform's Delta has other internals than Delta 3.3.
    """
    jvm: Any = spark.sparkContext._jvm
    nothing = getattr(jvm.scala, "Option").apply(None)  # noqa: B009 - a name that Python keeps for itself
    log = jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, location(spark, place))
    newest = log.update(False, nothing, nothing)
    protocol = json.loads(newest.protocol().json())["protocol"]
    return {**json.loads(newest.metadata().json())["metaData"], "features": protocol.get("writerFeatures") or ()}


def read(spark: SparkSession, place: Location, version: int) -> DataFrame:
    """Read a version of a table."""
    if place.path is not None:
        return spark.read.format("delta").option("versionAsOf", version).load(place.path)
    return spark.sql(f"select * from {identifier(spark, place)} version as of {version}")  # noqa: S608 - a checked name


def commit_file(spark: SparkSession, place: Location, version: int) -> tuple[str, str | None]:
    """Path and SHA-256 of a version's commit file; None when it is not there (log retention removes old ones)."""
    from pyspark.sql import functions as F

    path = f"{location(spark, place).rstrip('/')}/_delta_log/{version:020d}.json"
    try:
        found = spark.read.format("binaryFile").load(path).select(F.sha2("content", 256)).first()
    except Exception as error:
        if "nothing at this path" in reason(error):
            return path, None
        raise
    return path, found[0] if found else None
