"""Determine the kind and location of a table by its name in the catalog or by its path."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from dataward.contract import Location
from dataward.tables import files

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["digest_of_relation", "instead_of_delta", "kind", "place", "relation"]

CONSTANT = ("LocalRelation", "Range", "OneRowRelation")
FILES = ("InMemoryFileIndex", "CatalogFileIndex", "PartitioningAwareFileIndex", "PrunedInMemoryFileIndex")


def _described(spark: SparkSession, name: str) -> dict[str, str]:
    return {row[0]: row[1] for row in spark.sql(f"DESCRIBE TABLE EXTENDED {name}").collect()}


def place(spark: SparkSession, name: str) -> str | None:
    """Return the folder of a table of the catalog; None where it has none."""
    return _described(spark, name).get("Location")


def kind(spark: SparkSession, name: str) -> str | None:
    """Return ``view``, or the format of a table of the catalog in lower case (delta, parquet, ...); None where there is no table."""
    if not spark.catalog.tableExists(name):
        return None
    if spark.catalog.getTable(name).tableType in ("VIEW", "TEMPORARY"):
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
    trouble = _not_files(frame)
    if trouble:
        text = spark.sql(f"SHOW CREATE TABLE {name}").first()
        return frame, f"not pinned: {trouble}", hashlib.sha256(f"view {name} {text}".encode()).hexdigest()
    listed = listing(spark, frame)
    size = sum(length for _, length, _ in listed)
    told = f"{len(listed)} file{'s' if len(listed) != 1 else ''}, {size} bytes"
    return frame, told, hashlib.sha256(repr((frame.schema.json(), listed)).encode()).hexdigest()


def digest_of_relation(spark: SparkSession, name: str) -> str:
    """Compute the digest of :func:`relation` again."""
    return relation(spark, name)[2]


def listing(spark: SparkSession, frame: DataFrame) -> list[tuple[str, int, str]]:
    """Return (path, bytes, modification time) of the files that a frame reads, sorted."""
    paths = sorted({files.plain(path) for path in frame.inputFiles()})
    return files.listed(spark, paths, literally=True) if paths else []


def _not_files(frame: DataFrame) -> str:
    """Return the inputs of a frame besides pinned files; empty where it reads only these."""
    plan: Any = frame._jdf.queryExecution().optimizedPlan()
    if not plan.deterministic() or "subquery#" in plan.toString():
        return "it holds a subquery, or gives other rows each time"
    leaves = plan.collectLeaves()
    for number in range(leaves.size()):
        leaf = leaves.apply(number)
        name = str(leaf.getClass().getSimpleName())
        if name == "LogicalRelation" and leaf.relation().getClass().getSimpleName() == "HadoopFsRelation":
            index = str(leaf.relation().location().getClass().getSimpleName())
            if index not in FILES:
                return (
                    "it reads a Delta table" if index.startswith(("Tahoe", "Prepared")) else "it reads a changing table"
                )
        elif name not in CONSTANT:
            return "it reads more than files"
    return ""
