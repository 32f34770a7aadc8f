"""Delete rows, earlier versions and files of Delta tables, and list the files of folders."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.contract import Location
from dataward.errors import TargetError
from dataward.spark.console import console_to_stderr
from dataward.spark.kind import is_remote, parallelism
from dataward.spark.settings import settings
from dataward.spark.sql import identifier, literal
from dataward.tables import delta, log, near, through, turns
from dataward.tables.files import on_system
from dataward.tables.named import named
from dataward.tables.reason import reason
from dataward.tables.replacing import replace_file

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = [
    "RETENTION_CHECK",
    "File",
    "append_only",
    "delete_rows",
    "files",
    "forget_past",
    "read_bytes",
    "replace_bytes",
    "vacuum",
]


RETENTION_CHECK = "spark.databricks.delta.retentionDurationCheck.enabled"
"""Setting without which Delta keeps files of old versions for a week."""


@dataclass(frozen=True)
class File:
    """A file with its size in bytes."""

    path: str
    size: int


def delete_rows(spark: SparkSession, place: Location, name: str, values: DataFrame, metadata: dict[str, Any]) -> int:
    """Delete the rows whose column, as text, is among values (one column, distinct); returns their number.

    Uses a merge, because plans, event logs and the table's history would show a condition with the values.

    Raises:
        TargetError: the table cannot be written.
    """
    from pyspark.sql import functions as F

    same = f"cast({identifier('t', name)} as string) = {identifier('s', values.columns[0])}"
    with turns.exclusive(spark, place, _run(metadata)), named(spark, json.dumps({"dataward": 1, **metadata})):
        try:
            newest = delta.read(spark, place, delta.latest_version(spark, place))
            rows = int(newest.alias("t").join(F.broadcast(values.alias("s")), F.expr(same), "leftsemi").count())
            if rows:
                delta.delta_table(spark, place).alias("t").merge(values.alias("s"), same).whenMatchedDelete().execute()
        except Exception as error:
            raise TargetError(f"{place}: {reason(error)}. Rows may be left; run it again") from None
    return rows


def forget_past(spark: SparkSession, place: Location, metadata: dict[str, Any]) -> int:
    """Delete all versions but the newest: data, deletion vectors, change data and log; returns the newest version.

    Deleted rows are purged from their files; files that the newest version does not need are removed whatever their age, so that
    no other writer may be active. A checkpoint then replaces all older entries of the log.

    Raises:
        TargetError: the table cannot be written.
    """
    name = _by_folder(spark, place)
    marker = named(spark, json.dumps({"dataward": 1, **metadata}))
    unchecked = settings(spark, {RETENTION_CHECK: "false"})
    with turns.exclusive(spark, place, _run(metadata)), marker, unchecked, _few_tasks(spark), console_to_stderr(spark):
        try:
            spark.sql(f"reorg table {name} apply (purge)")
            spark.sql(f"vacuum {name} retain 0 hours")
            spark.sql(
                f"alter table {name} set tblproperties ('dataward.pastForgotten' = {literal(metadata['run_id'])})"
            )
            return _checkpoint_only(spark, place)
        except TargetError:
            raise
        except Exception as error:
            raise TargetError(f"{place}: its past cannot be removed ({reason(error)}); run it again") from None


def vacuum(spark: SparkSession, place: Location, hours: int, dry_run: bool) -> list[File]:
    """Remove files that no version within so many hours needs; returns the removed files (in a dry run: the files to remove).

    Raises:
        TargetError: the table cannot be vacuumed, or a file could not be removed.
    """
    name, root = _by_folder(spark, place), delta.location(spark, place)
    # The caller has compared with the contract. A platform that insists on its check refuses too few hours by name.
    unchecked = settings(spark, {RETENTION_CHECK: "false"}, hints=True)
    with unchecked, _few_tasks(spark), console_to_stderr(spark):
        try:
            before = {file.path: file for file in files(spark, root)}
            listed = spark.sql(f"vacuum {name} retain {int(hours)} hours dry run").collect()
            named = {str(row[0]).rsplit("/", 1)[-1] for row in listed}
            unneeded = [file for path, file in before.items() if path.rsplit("/", 1)[-1] in named]
            if dry_run:
                return unneeded
            spark.sql(f"vacuum {name} retain {int(hours)} hours")
            left = {file.path for file in files(spark, root)}
            gone = [file for path, file in before.items() if path not in left and "/_delta_log/" not in path]
        except Exception as error:
            raise TargetError(f"{place}: it cannot be vacuumed ({reason(error)})") from None
    if remaining := sum(file.path in left for file in unneeded):  # Delta is silent about it
        raise TargetError(
            f"{place}: {remaining} of {len(unneeded)} files could not be removed: may this job delete there?"
        )
    return [file for file in gone if not file.path.rsplit("/", 1)[-1].startswith(".")]  # Hadoop's checksums


def _few_tasks(spark: SparkSession) -> settings:
    """Return settings of the number of tasks by which vacuum lists directories: Spark's 10,000 take 15 seconds for a small table."""
    tasks = str(8 * parallelism(spark))
    return settings(spark, {"spark.sql.sources.parallelPartitionDiscovery.parallelism": tasks}, hints=True)


def append_only(spark: SparkSession, place: Location, wanted: bool) -> None:
    """Set whether a table is append-only."""
    name = delta.identifier(spark, place)
    with turns.exclusive(spark, place, "append-only"):
        spark.sql(f"alter table {name} set tblproperties ('delta.appendOnly' = '{str(wanted).lower()}')")


def _by_folder(spark: SparkSession, place: Location) -> str:
    """Return the SQL name of a table for REORG and VACUUM, which look for the name of another catalog in ``spark_catalog``."""
    if place.path is None and log.is_elsewhere(str(place.table)):
        return identifier("delta", delta.location(spark, place))
    return delta.identifier(spark, place)


def _run(metadata: dict[str, Any]) -> str:
    return str(metadata.get("run_id") or "maintenance")


def _checkpoint_only(spark: SparkSession, place: Location) -> int:
    """Write a checkpoint of the newest version, and remove all older entries of the log."""
    newest = log.checkpointed(spark, place)
    root = delta.location(spark, place)
    for file in files(spark, f"{root.rstrip('/')}/_delta_log"):
        number = file.path.rsplit("/", 1)[-1].lstrip(".").partition(".")[0]
        if number.isdigit() and int(number) < newest:
            _remove(spark, file.path)
    return delta.latest_version(spark, place) if is_remote(spark) else newest


def files(spark: SparkSession, folder: str) -> list[File]:
    """Return every file below a folder (or the file itself), including hidden ones; none where the path does not exist."""
    if is_remote(spark):
        return [File(path, size) for path, size in near.below(folder)]
    system, place = on_system(spark, folder)
    if not system.exists(place):
        return []
    found, pending = [], [place]
    while pending:
        for status in system.listStatus(pending.pop()):
            if status.isDirectory():
                pending.append(status.getPath())
            else:
                found.append(File(str(status.getPath().toString()), int(status.getLen())))
    # Hadoop's local file system does not list its own checksum files.
    return found + [File(str(path), path.stat().st_size) for path in _sidecars(system, folder)]


def _sidecars(system: Any, folder: str) -> list[Any]:
    from pathlib import Path
    from urllib.parse import unquote, urlparse

    if system.getScheme() != "file":
        return []
    root = Path(unquote(urlparse(folder).path) if folder.startswith("file:") else folder)
    return [path for path in root.rglob(".*.crc") if path.is_file()]


def read_bytes(spark: SparkSession, path: str) -> bytes:
    """Read a file."""
    from pathlib import Path

    if is_remote(spark) and not (path.startswith("/") and Path(path).exists()):
        return through.read(spark, path)
    if path.startswith("/"):
        return Path(path).read_bytes()
    system, place = on_system(spark, path)
    jvm: Any = spark.sparkContext._jvm
    stream = system.open(place)
    try:
        return bytes(jvm.org.apache.commons.io.IOUtils.toByteArray(stream))
    finally:
        stream.close()


def replace_bytes(spark: SparkSession, path: str, data: bytes) -> None:
    """Overwrite a file."""
    from pathlib import Path

    if is_remote(spark):
        near.replace(path, data)
        return
    if path.startswith("/"):
        replace_file(Path(path), data)
        return
    system, place = on_system(spark, path)
    stream = system.create(place, True)
    try:
        stream.write(bytearray(data))
    finally:
        stream.close()


def _remove(spark: SparkSession, path: str) -> None:
    from pathlib import Path

    if is_remote(spark):
        near.remove(path)
        return
    if path.startswith("/"):
        Path(path).unlink(missing_ok=True)
        return
    system, place = on_system(spark, path)
    system.delete(place, False)
