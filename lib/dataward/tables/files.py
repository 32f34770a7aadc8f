"""Which tables lie where: any file system that Spark reads, listed by Hadoop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["exists", "format_of", "on_system", "qualified", "tables_below"]

ENDINGS = {".parquet": "parquet", ".csv": "csv", ".csv.gz": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json"}


def exists(spark: SparkSession, path: str) -> bool:
    system, place = on_system(spark, path)
    return bool(system.exists(place))


def qualified(spark: SparkSession, path: str) -> str:
    """A path as an absolute URI; nothing is read."""
    system, place = on_system(spark, path)
    return str(system.makeQualified(place).toString())


def format_of(spark: SparkSession, path: str) -> str | None:
    """The format of the table that a directory or a file is; None where it is none."""
    system, place = on_system(spark, path)
    if not system.exists(place):
        return None
    if not system.getFileStatus(place).isDirectory():
        return _by_ending(place.getName())
    names = _names(system, place)
    if any(name == "_delta_log" for name, _ in names):
        return "delta"
    kinds = {kind for name, folder in names if not folder and (kind := _by_ending(name))}
    if not kinds:  # a partitioned table: its files lie in folders such as day=2026-01-01
        inner = next((name for name, folder in names if folder and "=" in name), None)
        return format_of(spark, f"{path.rstrip('/')}/{inner}") if inner else None
    return kinds.pop() if len(kinds) == 1 else None


def tables_below(spark: SparkSession, path: str) -> Iterator[tuple[str, str]]:
    """(path, format) of every table in a directory and below: Delta tables, directories of Parquet files, and single
    CSV and JSON files."""
    system, place = on_system(spark, path)
    found = format_of(spark, path)
    if found in ("delta", "parquet") or (found and not system.getFileStatus(place).isDirectory()):
        yield path, found
        return
    for name, folder in _names(system, place) if system.getFileStatus(place).isDirectory() else ():
        inside = f"{path.rstrip('/')}/{name}"
        if folder and not name.startswith(("_", ".")):
            yield from tables_below(spark, inside)
        elif not folder and (kind := _by_ending(name)):
            yield inside, kind


def _names(system: Any, place: Any) -> list[tuple[str, bool]]:
    """(name, whether it is a folder) of what lies in a folder, sorted."""
    return sorted((entry.getPath().getName(), bool(entry.isDirectory())) for entry in system.listStatus(place))


def _by_ending(name: str) -> str | None:
    if name.startswith(("_", ".")):
        return None
    return next((kind for ending, kind in ENDINGS.items() if name.lower().endswith(ending)), None)


def on_system(spark: SparkSession, path: str) -> tuple[Any, Any]:
    """The file system that a path lies on, and the path as Hadoop has it."""
    context: Any = spark.sparkContext
    place = context._jvm.org.apache.hadoop.fs.Path(path)
    return place.getFileSystem(context._jsc.hadoopConfiguration()), place
