"""Determine the kind and location of a table by its name in the catalog or by its path."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.contract import Location
from dataward.spark.kind import is_remote
from dataward.tables import files, log

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["digest_of_relation", "instead_of_delta", "kind", "place", "relation"]

CONSTANT = ("LocalRelation", "Range", "OneRowRelation")
VIEWS = ("VIEW", "TEMPORARY")
DELTA = ("Tahoe", "Prepared")
FILES = ("InMemoryFileIndex", "CatalogFileIndex", "PartitioningAwareFileIndex", "PrunedInMemoryFileIndex")


def _described(spark: SparkSession, name: str) -> dict[str, str]:
    return {row[0]: row[1] for row in spark.sql(f"DESCRIBE TABLE EXTENDED {name}").collect()}


def place(spark: SparkSession, name: str) -> str | None:
    """Return the folder of a table of the catalog; None where it has none."""
    return _described(spark, name).get("Location")


def kind(spark: SparkSession, name: str) -> str | None:
    """Return ``view``, or the format of a table of the catalog in lower case (delta, parquet, ...); None where there is no table."""
    if not log.is_named(spark, name):
        return None
    # `getTable` ignores the catalog of a name, see dataward.tables.log.
    elsewhere = log.is_elsewhere(name)
    if (_described(spark, name).get("Type") if elsewhere else spark.catalog.getTable(name).tableType) in VIEWS:
        return "view"
    return _described(spark, name).get("Provider", "").lower() or "hive"


def instead_of_delta(spark: SparkSession, place: Location) -> str | None:
    """Return the kind of a table that is not a Delta table ("a view", "a parquet table"); None for a Delta table or no table."""
    if place.table is not None:
        found = kind(spark, place.table)
        return None if found in (None, "delta") else "a view" if found == "view" else f"a table stored as {found}"
    path = str(place.path)
    found = None if files.exists(spark, f"{path.rstrip('/')}/_delta_log") else files.format_of(spark, path)
    return None if found in (None, "delta") else f"files of {found}"


def relation(spark: SparkSession, name: str) -> tuple[DataFrame, str, str]:
    """Read a table or a view; returns the frame, a description of what is pinned, and its digest."""
    spark.catalog.refreshTable(name)
    frame = spark.table(name)
    read = _inputs_through(spark, name) if is_remote(spark) else _inputs(frame)
    text = _definition(spark, name) if read.trouble or read.versions else ""
    if read.trouble:
        return frame, f"not pinned: {read.trouble}", hashlib.sha256(f"view {name} {text}".encode()).hexdigest()
    listed = listing(spark, frame) if read.files else []
    described = [f"{path} @ version {version}" for path, version in read.versions]
    if read.files or not described:
        size = sum(length for _, length, _ in listed)
        described.append(f"{len(listed)} file{'s' if len(listed) != 1 else ''}, {size} bytes")
    pinned = (frame.schema.json(), listed, *((text, read.versions) if read.versions else ()))
    return frame, ", ".join(described), hashlib.sha256(repr(pinned).encode()).hexdigest()


def _definition(spark: SparkSession, name: str) -> Any:
    """Return the statement that creates a view; empty for a temporary view, which shows none."""
    with suppress(Exception):
        return spark.sql(f"SHOW CREATE TABLE {name}").first()
    return ""


def digest_of_relation(spark: SparkSession, name: str) -> str:
    """Compute the digest of :func:`relation` again."""
    return relation(spark, name)[2]


def listing(spark: SparkSession, frame: DataFrame) -> list[tuple[str, int, str]]:
    """Return (path, bytes, modification time) of the files that a frame reads, sorted."""
    paths = sorted({files.plain(path) for path in frame.inputFiles()})
    return files.listed(spark, paths, literally=True) if paths else []


@dataclass(frozen=True)
class _Inputs:
    """What a frame reads: Delta tables at their versions, files, and what cannot be pinned."""

    versions: tuple[tuple[str, int], ...] = ()
    files: bool = False
    trouble: str = ""


def _inputs_through(spark: SparkSession, name: str) -> _Inputs:
    """Return what a table of files reads; Spark Connect does not show what a view reads."""
    return (
        _Inputs(trouble="Spark Connect does not show what it reads")
        if kind(spark, name) == "view"
        else _Inputs(files=True)
    )


def _inputs(frame: DataFrame) -> _Inputs:
    plan: Any = frame._jdf.queryExecution().optimizedPlan()
    if not plan.deterministic() or "subquery#" in plan.toString():
        return _Inputs(trouble="it holds a subquery, or gives other rows each time")
    leaves, versions, of_files = plan.collectLeaves(), set(), False
    for number in range(leaves.size()):
        leaf = leaves.apply(number)
        name = str(leaf.getClass().getSimpleName())
        if name == "LogicalRelation" and leaf.relation().getClass().getSimpleName() == "HadoopFsRelation":
            index = leaf.relation().location()
            kind = str(index.getClass().getSimpleName())
            if kind.startswith(DELTA):
                versions.add((str(index.path().toString()), int(index.version())))
            elif kind in FILES:
                of_files = True
            else:
                return _Inputs(trouble="it reads a changing table")
        elif name not in CONSTANT:
            return _Inputs(trouble="it reads more than files and Delta tables")
    return _Inputs(tuple(sorted(versions)), of_files)
