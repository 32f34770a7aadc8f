"""Delta's log without Spark jobs: declarations of a table's newest version, and the commit of a version.

This is the only module that accesses Delta's ``DeltaLog``. Where a platform's Delta hides it, or has other internals than Delta
3.3, :func:`newest` reads the same from DESCRIBE, which costs jobs, and the other functions raise.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.contract import Location
from dataward.contract.places import OWN_CATALOG
from dataward.spark import sql
from dataward.spark.kind import is_remote
from dataward.spark.moved import is_spark4
from dataward.spark.session import platform
from dataward.tables import files
from dataward.tables.by_sql import SqlTable

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.types import StructType

__all__ = [
    "Newest",
    "checkpointed",
    "commit_info",
    "delta_table",
    "exists",
    "folder",
    "folder_to_be",
    "is_elsewhere",
    "is_named",
    "newest",
    "snapshot",
]


BY_CATALOG = frozenset(["catalogManaged", "catalogOwned-preview", "coordinatedCommits-preview"])
"""Table features by which a catalog orders commits; their files are in a folder of their own until they are copied into the log."""


@dataclass(frozen=True)
class Newest:
    """A table's newest version.

    Attributes:
        folder: URI of the table.
        partition_by: partition columns.
        clustered_by: clustering columns, a field of a struct by its dotted path.
        size: bytes of its data files; None where the log does not contain it without a job.
        by_catalog: whether a catalog, or another coordinator, orders its commits.
    """

    version: int
    id: str
    folder: str
    schema: StructType
    partition_by: tuple[str, ...]
    properties: Mapping[str, str]
    clustered_by: tuple[str, ...] = ()
    size: int | None = None
    by_catalog: bool = False

    @property
    def maps_columns(self) -> bool:
        """Whether its columns may have any name."""
        return self.properties.get("delta.columnMapping.mode", "none") != "none"


def delta_table(spark: SparkSession, place: Location) -> Any:
    """Return Delta's handle on a table; through Spark Connect, one that uses SQL."""
    if is_remote(spark):
        return SqlTable(spark, sql.identifier("delta", place.path) if place.path else str(place.table))
    from delta.tables import DeltaTable

    path = place.path or _folder_elsewhere(spark, str(place.table))
    return DeltaTable.forPath(spark, path) if path else DeltaTable.forName(spark, _own_name(str(place.table)))


def newest(spark: SparkSession, place: Location) -> Newest | None:
    """Read a table's newest version, once; None where there is no Delta table."""
    if not exists(spark, place):
        return None
    if is_remote(spark):
        return _described(spark, place)
    with suppress(Exception):
        return _of_log(spark, place)
    return _described(spark, place)


def exists(spark: SparkSession, place: Location) -> bool:
    """Return whether a Delta table exists."""
    if place.path is None:
        return is_named(spark, str(place.table))
    if is_remote(spark):
        return files.exists(spark, f"{place.path.rstrip('/')}/_delta_log")
    from delta.tables import DeltaTable

    return bool(DeltaTable.isDeltaTable(spark, place.path))


def _of_log(spark: SparkSession, place: Location) -> Newest:
    from pyspark.sql.types import StructType

    log = _delta_log(spark, place)
    found = log.update(False, _nothing(spark), _nothing(spark))
    metadata = json.loads(found.metadata().json())["metaData"]
    features = json.loads(found.protocol().json())["protocol"].get("writerFeatures") or ()
    checksum = found.checksumOpt()  # of the .crc file; the snapshot itself would need a job
    clustered = _described(spark, place).clustered_by if "clustering" in features else ()
    by_catalog = not BY_CATALOG.isdisjoint(features)
    if by_catalog:
        with suppress(Exception):  # whoever needs the file of a version finds it missing
            found.ensureCommitFilesBackfilled(_nothing(spark))
    return Newest(
        version=int(found.version()),
        id=metadata["id"],
        folder=str(log.dataPath().toString()),
        schema=StructType.fromJson(json.loads(metadata["schemaString"])),
        partition_by=tuple(metadata["partitionColumns"]),
        properties=metadata["configuration"],
        clustered_by=clustered,
        size=int(checksum.get().tableSizeBytes()) if checksum.isDefined() else None,
        by_catalog=by_catalog,
    )


def _described(spark: SparkSession, place: Location) -> Newest:
    table = delta_table(spark, place)
    detail = table.detail().first().asDict()
    version = int(table.history(1).select("version").first()[0])
    return Newest(
        version=version,
        id=detail["id"],
        folder=detail["location"],
        schema=_schema_in_log(spark, place, detail["id"], version) or table.toDF().schema,
        partition_by=tuple(detail["partitionColumns"] or ()),
        properties=detail["properties"] or {},
        clustered_by=tuple(".".join(sql.parts(path)) for path in detail.get("clusteringColumns") or ()),
        size=detail.get("sizeInBytes"),
        by_catalog=not BY_CATALOG.isdisjoint(detail.get("tableFeatures") or ()),
    )


def _schema_in_log(spark: SparkSession, place: Location, table_id: str, version: int) -> StructType | None:
    """Read a version's schema with all declarations from the log's files; None where they are not reached."""
    from pyspark.sql.types import StructType

    from dataward.tables.deltalog.hadoop import table_folder
    from dataward.tables.deltalog.state import metadata_at

    with suppress(Exception):
        found = metadata_at(table_folder(spark, place), version)
        if found is not None and found["id"] == table_id:
            return StructType.fromJson(found["schema"])
    return None


def commit_info(spark: SparkSession, folder: str, version: int) -> dict[str, Any] | None:
    """Read the commitInfo action of a version from its file: empty if a writer left it out, None if the file is missing.

    Through Spark Connect None, as DESCRIBE HISTORY returns the same in one job.
    """
    if is_remote(spark):
        return None
    system, place = files.on_system(spark, f"{folder.rstrip('/')}/_delta_log/{version:020d}.json")
    if not system.exists(place):
        return None
    jvm: Any = spark.sparkContext._jvm
    stream = system.open(place)
    try:
        reader = jvm.java.io.BufferedReader(jvm.java.io.InputStreamReader(stream, "UTF-8"))
        while (line := reader.readLine()) is not None:  # the first line, as Spark writes it
            if line.startswith('{"commitInfo"'):
                found = json.loads(line)["commitInfo"]
                return found if isinstance(found, dict) else {}
    finally:
        stream.close()
    return {}


def snapshot(spark: SparkSession, place: Location, version: int) -> Any:
    """Return Delta's JVM object of a version, for information that neither SQL nor the DataFrame API provides.

    Raises:
        Exception: of any kind, where this platform's Delta has other internals than Delta 3.3.
    """
    more = (False,) if is_spark4(spark) else ()  # the default of a new parameter
    return _delta_log(spark, place).getSnapshotAt(version, _nothing(spark), _nothing(spark), *more)


def checkpointed(spark: SparkSession, place: Location) -> int:
    """Write a checkpoint of the newest version; returns the version. Through Spark Connect, that version and one more are made for it.

    Raises:
        Exception: of any kind, where this platform's Delta has other internals than Delta 3.3.
    """
    if is_remote(spark):
        return _checkpointed_by_setting(spark, place)
    log = _delta_log(spark, place)
    found = log.update(False, _nothing(spark), _nothing(spark))
    log.checkpoint(found, _nothing(spark))
    return int(found.version())


def _checkpointed_by_setting(spark: SparkSession, place: Location) -> int:
    """Write a checkpoint by the property that makes each commit write one; returns the version of the checkpoint."""
    name, interval = delta_table(spark, place).name, "delta.checkpointInterval"
    earlier = _described(spark, place).properties.get(interval)
    spark.sql(f"alter table {name} set tblproperties ('{interval}' = '1')")
    version = _described(spark, place).version
    if earlier is None:
        spark.sql(f"alter table {name} unset tblproperties ('{interval}')")
    else:
        spark.sql(f"alter table {name} set tblproperties ('{interval}' = {sql.literal(earlier)})")
    return version


def folder(spark: SparkSession, place: Location) -> str:
    """Return the URI of a table."""
    with suppress(Exception):  # through Spark Connect too
        return str(_delta_log(spark, place).dataPath().toString())
    return str(delta_table(spark, place).detail().select("location").first()[0])


def folder_to_be(spark: SparkSession, place: Location) -> str:
    """Return the URI of a table of the catalog, also of one that is to be created; empty where the catalog does not show it."""
    with suppress(Exception):
        if is_named(spark, str(place.table)):
            return folder(spark, place)
        own = _own_name(str(place.table))
        if own.count(".") == 2:  # another catalog decides about the folder
            return ""
        session: Any = spark._jsparkSession
        name = session.sessionState().sqlParser().parseTableIdentifier(own)
        return str(session.sessionState().catalog().defaultTablePath(name).toString())
    return ""


def _delta_log(spark: SparkSession, place: Location) -> Any:
    jvm: Any = spark.sparkContext._jvm
    session: Any = spark._jsparkSession
    of_table = jvm.org.apache.spark.sql.delta.DeltaLog.forTable
    if place.path is not None:
        return of_table(session, files.qualified(spark, place.path))
    if elsewhere := _folder_elsewhere(spark, str(place.table)):
        return of_table(session, elsewhere)
    with suppress(Exception):
        return of_table(session, session.sessionState().sqlParser().parseTableIdentifier(_own_name(str(place.table))))
    return of_table(session, str(delta_table(spark, place).detail().select("location").first()[0]))


def is_named(spark: SparkSession, name: str) -> bool:
    """Return whether a catalog has a table or view of a name."""
    if not is_elsewhere(name):
        return bool(spark.catalog.tableExists(name))
    try:  # `tableExists` looks for the schema and name in spark_catalog
        return spark.table(name).schema is not None
    except Exception as error:
        if re.search(r"(TABLE_OR_VIEW|SCHEMA|NAMESPACE)_NOT_FOUND|no such (table|schema|namespace)", str(error), re.I):
            return False
        raise


def is_elsewhere(name: str) -> bool:
    """Return whether a name is of another catalog than ``spark_catalog``, whose name open-source Spark and Delta ignore in some calls.

    They would find a table with the same schema and name in ``spark_catalog``.
    """
    return name.count(".") == 2 and not name.lower().startswith("spark_catalog.") and platform() != "databricks"


def _own_name(name: str) -> str:
    """Return a name without ``spark_catalog``, which open-source Delta does not parse; Databricks' own catalog may be another."""
    return name if platform() == "databricks" else OWN_CATALOG.sub("", name)


def _folder_elsewhere(spark: SparkSession, name: str) -> str:
    """Return the URI of a table in another catalog than ``spark_catalog``; empty for any other name."""
    if not is_elsewhere(name):
        return ""
    described = {row[0]: row[1] for row in spark.sql(f"DESCRIBE TABLE EXTENDED {name}").collect()}
    return str(described["Location"])


def _nothing(spark: SparkSession) -> Any:
    """Return Scala's None."""
    jvm: Any = spark.sparkContext._jvm
    return getattr(jvm.scala, "Option").apply(None)  # noqa: B009 - a reserved name in Python
