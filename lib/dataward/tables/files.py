"""Which tables lie where: any file system that Spark reads, listed by Hadoop."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = [
    "LITERAL",
    "escaped",
    "exists",
    "format_of",
    "in_delta",
    "listed",
    "on_system",
    "plain",
    "qualified",
    "skipped",
    "tables_below",
]

LITERAL = ("__globPaths__", "false")
"""Spark's option by which a path is taken as it is written: no character stands for others."""

ENDINGS = {".parquet": "parquet", ".csv": "csv", ".csv.gz": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json"}


def plain(path: str) -> str:
    """A file's path as listings have it, from the URI that ``_metadata.file_path`` and ``inputFiles`` give."""
    return re.sub(r"^file:/+", "file:/", unquote(path))


def escaped(path: str) -> str:
    """A path that Hadoop's globbing takes literally."""
    return re.sub(r"([\\\[\]{}*?])", r"\\\1", path)


def listed(
    spark: SparkSession, paths: str | list[str], literally: bool, options: Mapping[str, str] | None = None
) -> list[tuple[str, int, str]]:
    """(path, bytes, modification time) of every file at some paths that is not empty, sorted; no content is read."""
    from pyspark.sql import functions as F

    reader = spark.read.format("binaryFile").options(**(options or {}))
    found = (reader.option(*LITERAL) if literally else reader).load(paths)
    rows = found.select("path", "length", F.col("modificationTime").cast("string")).collect()
    return sorted((row[0], row[1], row[2]) for row in rows)


def skipped(spark: SparkSession, path: str, depth: int) -> list[str]:
    """Names of data files in a folder, and in so many levels of folders below, that Spark does not read: those in _ or ."""
    system, place = on_system(spark, path)
    found = set()
    for level in range(depth + 1):
        below: Any = spark.sparkContext._jvm
        pattern = below.org.apache.hadoop.fs.Path(f"{escaped(str(place.toString()))}/{'*/' * level}[_.]*")
        matches = system.globStatus(pattern)
        found |= {str(one.getPath().getName()) for one in matches or () if one.isFile()}
    return sorted(name for name in found if _by_ending(name.lstrip("_.")))


def in_delta(spark: SparkSession, path: str) -> str | None:
    """The Delta table that a path is, or lies inside of."""
    system, place = on_system(spark, path)
    below: Any = spark.sparkContext._jvm
    while place is not None:
        try:
            found = system.exists(below.org.apache.hadoop.fs.Path(place, "_delta_log"))
        except Exception:  # a folder above, which this job may not list
            return None
        if found:
            return str(place.toString())
        place = place.getParent()
    return None


def exists(spark: SparkSession, path: str) -> bool:
    """Return whether a path exists."""
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
    """Yield (path, format) of every table in a directory and below.

    Tables are Delta tables, directories of Parquet files, and single CSV and JSON files.
    """
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
