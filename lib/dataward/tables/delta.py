"""Delta tables by path or by name: versions and commits. :mod:`dataward.tables.commits` writes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dataward.contract import Location
from dataward.spark import sql
from dataward.tables import files, log
from dataward.tables.deltalog.metadata import metadata_of
from dataward.tables.log import Newest, delta_table, exists, newest

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import DataType

__all__ = [
    "MAPPING",
    "ROW_NEUTRAL",
    "UNMAPPED",
    "Commit",
    "commit_file",
    "commits",
    "delta_table",
    "exists",
    "find_run",
    "history",
    "laid_out_by",
    "latest_version",
    "maps_columns",
    "needs_mapping",
    "newest",
    "read",
]


MAPPING = {"delta.columnMapping.mode": "name"}

UNMAPPED = re.compile(r"[ ,;{}()\n\t=]")
"""Characters in the name of a column (or of a field in it) that require column mapping."""

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
"""Operations that change no row, if the commit names its operation truthfully."""


@dataclass(frozen=True)
class Commit:
    """One version of a table from its history; ``metadata`` is Dataward's content of userMetadata.

    ``replaces_all``: the commit removed all earlier rows. ``merged``: rows that a merge inserted and updated. ``z_order``:
    columns by which OPTIMIZE sorted rows into files.
    """

    version: int
    timestamp: str
    operation: str
    rows: int
    metadata: dict[str, Any]
    user: str | None = None
    replaces_all: bool = False
    merged: dict[str, int] = field(default_factory=dict)
    z_order: tuple[str, ...] = ()


def location(spark: SparkSession, place: Location) -> str:
    """Return the location of a table as an absolute URI (SQL accepts no relative path)."""
    if place.path is not None:
        return files.qualified(spark, place.path)
    return log.folder(spark, place)


def identifier(spark: SparkSession, place: Location) -> str:
    """Return the SQL name of an existing table."""
    return sql.identifier("delta", location(spark, place)) if place.path else str(place.table)


def history(spark: SparkSession, place: Location, limit: int | None = None) -> list[Commit]:
    """Return commits, newest first. Versions whose commit files were cleaned up are missing."""
    table = delta_table(spark, place)
    rows = (table.history(limit) if limit else table.history()).select(
        "version", "timestamp", "operation", "operationMetrics", "operationParameters", "userMetadata", "userName"
    )
    return [_commit(row.version, row.timestamp, row.asDict()) for row in rows.collect()]


def commits(
    spark: SparkSession, place: Location, limit: int | None = None, present: Newest | None = None
) -> Iterator[Commit]:
    """Yield commits, newest first, each read from its file on demand: no Spark job for the few newest.

    Args:
        spark: the session.
        place: the table, which must exist.
        limit: most commits to yield.
        present: the newest version, if known.
    """
    present = present or newest(spark, place)
    assert present is not None  # noqa: S101 - the table exists
    for version in range(present.version, -1 if limit is None else max(-1, present.version - limit), -1):
        info = None
        with suppress(Exception):  # a platform without access to the log
            info = log.commit_info(spark, present.folder, version)
        if info is None:
            if version == present.version:
                yield from history(spark, place, limit)
            return
        yield _commit(version, datetime.fromtimestamp(info.get("timestamp", 0) / 1000), info)


def _commit(version: int, at: datetime, info: dict[str, Any]) -> Commit:
    """Return a commit from its commitInfo, or from its row of the history."""
    operation, metrics = info.get("operation") or "", info.get("operationMetrics") or {}
    parameters = info.get("operationParameters") or {}
    return Commit(
        version,
        at.isoformat(),
        operation,
        _rows_written(operation, metrics),
        _metadata(info),
        info.get("userName"),
        _replaces_all(operation, parameters),
        _merged(metrics) if operation == "MERGE" else {},
        tuple(json.loads(parameters.get("zOrderBy") or "[]")) if operation == "OPTIMIZE" else (),
    )


def _replaces_all(operation: str, parameters: dict[str, str]) -> bool:
    return (
        operation == "WRITE"
        and parameters.get("mode") == "Overwrite"
        and parameters.get("predicate", "").strip("[]") in ("", '"true"')
    )


def _rows_written(operation: str, metrics: dict[str, str]) -> int:
    if operation == "MERGE":
        return sum(_merged(metrics).values())
    return int(metrics.get("numOutputRows", 0))


def _merged(metrics: dict[str, str]) -> dict[str, int]:
    return {what: int(metrics.get(f"numTargetRows{what.title()}", 0)) for what in ("inserted", "updated")}


def _metadata(info: dict[str, Any]) -> dict[str, Any]:
    found = metadata_of(info)
    return found if isinstance(found, dict) and "dataward" in found else {}


def latest_version(spark: SparkSession, place: Location) -> int:
    """Return the newest version of a table."""
    found = newest(spark, place)
    assert found is not None  # noqa: S101 - the table exists
    return found.version


def find_run(spark: SparkSession, place: Location, run_id: str, limit: int | None = 50) -> Commit | None:
    """Return the commit of a run among the newest ``limit`` (None: all in the log); None where there is none."""
    if (present := newest(spark, place)) is None:
        return None
    found = history(spark, place) if limit is None else commits(spark, place, limit, present)
    return next((one for one in found if one.metadata.get("run_id") == run_id), None)


def maps_columns(spark: SparkSession, place: Location) -> bool:
    """Return whether a table exists and has column mapping, so that its columns may have any name."""
    found = newest(spark, place)
    return found is not None and found.maps_columns


def needs_mapping(kind: DataType) -> bool:
    """Return whether a type has fields, at any depth, whose names require column mapping."""
    inner = [getattr(kind, name, None) for name in ("elementType", "keyType", "valueType")]
    inner += [field.dataType for field in getattr(kind, "fields", ())]
    named = any(UNMAPPED.search(field.name) for field in getattr(kind, "fields", ()))
    return named or any(needs_mapping(one) for one in inner if one is not None)


def laid_out_by(
    spark: SparkSession, place: Location, present: Newest, looked: Callable[[Commit], int | None] = lambda _: None
) -> dict[str, str]:
    """Return the columns whose values determine the file of a row, with the reason: partition, clustering, or Z-order (of the log).

    Args:
        spark: the session.
        place: the table.
        present: its newest version.
        looked: returns, for the commit of a run that checked the layout, the version up to which it checked; older ones are not read.
    """
    found = dict.fromkeys(present.clustered_by, "clustering column")
    since = -1
    for commit in commits(spark, place, present=present):
        if commit.version <= since:
            break
        found |= dict.fromkeys(commit.z_order, "Z-order column")
        if (version := looked(commit)) is not None:
            since = max(since, version)
    return found | dict.fromkeys(present.partition_by, "partition column")


def read(spark: SparkSession, place: Location, version: int) -> DataFrame:
    """Read a version of a table."""
    if place.path is not None:
        return spark.read.format("delta").option("versionAsOf", version).load(place.path)
    return spark.sql(f"select * from {identifier(spark, place)} version as of {version}")  # noqa: S608 - a checked name


def commit_file(spark: SparkSession, place: Location, version: int) -> tuple[str, str | None]:
    """Return path and SHA-256 of a version's commit file; the hash is None if the file is missing (log retention removes old ones)."""
    path = f"{location(spark, place).rstrip('/')}/_delta_log/{version:020d}.json"
    return path, files.sha256(spark, path)
