"""List files and find tables on any file system that Spark reads, through Hadoop."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from dataward.spark.kind import is_remote
from dataward.tables import through

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
    "sha256",
    "skipped",
    "tables_below",
]

LITERAL = ("__globPaths__", "false")
"""Spark's option to read a path literally, without patterns."""

ENDINGS = {
    ".parquet": "parquet",
    ".orc": "orc",
    ".avro": "avro",
    ".csv": "csv",
    ".csv.gz": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
}


def plain(path: str) -> str:
    """Return a file's path in the form of listings, from the URI of ``_metadata.file_path`` and ``inputFiles``."""
    return re.sub(r"^file:/+", "file:/", unquote(path))


def escaped(path: str) -> str:
    """Escape a path so that Hadoop's globbing takes it literally."""
    return re.sub(r"([\\\[\]{}*?])", r"\\\1", path)


def listed(
    spark: SparkSession, paths: str | list[str], literally: bool, options: Mapping[str, str] | None = None
) -> list[tuple[str, int, str]]:
    """Return (path, bytes, modification time) of every non-empty file at some paths, sorted; no content is read."""
    from pyspark.sql import functions as F

    reader = spark.read.format("binaryFile").options(**(options or {}))
    found = (reader.option(*LITERAL) if literally else reader).load(paths)
    rows = found.select("path", "length", F.col("modificationTime").cast("string")).collect()
    return sorted((row[0], row[1], row[2]) for row in rows)


def skipped(spark: SparkSession, path: str, depth: int) -> list[str]:
    """Return the names of data files in a folder, to a depth, that Spark skips: those that begin with _ or a dot."""
    if is_remote(spark):  # Spark lists no such names
        return []
    system, place = on_system(spark, path)
    found = set()
    for level in range(depth + 1):
        below: Any = spark.sparkContext._jvm
        pattern = below.org.apache.hadoop.fs.Path(f"{escaped(str(place.toString()))}/{'*/' * level}[_.]*")
        matches = system.globStatus(pattern)
        found |= {str(one.getPath().getName()) for one in matches or () if one.isFile()}
    return sorted(name for name in found if _by_ending(name.lstrip("_.")))


def in_delta(spark: SparkSession, path: str) -> str | None:
    """Return the Delta table at or above a path; None where there is none."""
    if is_remote(spark):
        return next((one for one in _upwards(path) if through.exists(spark, f"{one}/_delta_log")), None)
    system, place = on_system(spark, path)
    below: Any = spark.sparkContext._jvm
    while place is not None:
        try:
            found = system.exists(below.org.apache.hadoop.fs.Path(place, "_delta_log"))
        except Exception:  # a parent folder without permission to list it
            return None
        if found:
            return str(place.toString())
        place = place.getParent()
    return None


def exists(spark: SparkSession, path: str) -> bool:
    """Return whether a path exists."""
    if is_remote(spark):
        return through.exists(spark, path)
    system, place = on_system(spark, path)
    return bool(system.exists(place))


def sha256(spark: SparkSession, path: str) -> str | None:
    """Return the SHA-256 (hex) of a file's bytes; None where there is no file."""
    if is_remote(spark):
        return through.sha256(spark, path)
    system, place = on_system(spark, path)
    if not system.exists(place):
        return None
    jvm: Any = spark.sparkContext._jvm
    stream = system.open(place)
    try:
        return str(jvm.org.apache.commons.codec.digest.DigestUtils.sha256Hex(stream))
    finally:
        stream.close()


def qualified(spark: SparkSession, path: str) -> str:
    """Return a path as an absolute URI; nothing is read. Through Spark Connect, paths are absolute already."""
    if is_remote(spark):
        return path
    system, place = on_system(spark, path)
    return str(system.makeQualified(place).toString())


def format_of(spark: SparkSession, path: str) -> str | None:
    """Return the format of the table in a directory or file; None where it is none."""
    if is_remote(spark):
        return _format_through(spark, path)
    system, place = on_system(spark, path)
    if not system.exists(place):
        return None
    if not system.getFileStatus(place).isDirectory():
        return _by_ending(place.getName())
    names = _names(system, place)
    if any(name == "_delta_log" for name, _ in names):
        return "delta"
    kinds = {kind for name, folder in names if not folder and (kind := _by_ending(name))}
    if not kinds:  # a partitioned table: its files are in folders such as day=2026-01-01
        inner = next((name for name, folder in names if folder and "=" in name), None)
        return format_of(spark, f"{path.rstrip('/')}/{inner}") if inner else None
    return kinds.pop() if len(kinds) == 1 else None


def tables_below(spark: SparkSession, path: str) -> Iterator[tuple[str, str]]:
    """Yield (path, format) of every table in a directory and below.

    Tables are Delta tables, directories of Parquet, ORC or Avro files, and single CSV and JSON files.
    """
    if is_remote(spark):
        yield from _tables_through(spark, path.rstrip("/"))
        return
    system, place = on_system(spark, path)
    found = format_of(spark, path)
    if found in ("delta", "parquet", "orc", "avro") or (found and not system.getFileStatus(place).isDirectory()):
        yield path, found
        return
    for name, folder in _names(system, place) if system.getFileStatus(place).isDirectory() else ():
        inside = f"{path.rstrip('/')}/{name}"
        if folder and not name.startswith(("_", ".")):
            yield from tables_below(spark, inside)
        elif not folder and (kind := _by_ending(name)):
            yield inside, kind


def _upwards(path: str) -> Iterator[str]:
    """Yield a path and the folders above it."""
    head, rest = (f"{path.partition('://')[0]}://", path.partition("://")[2]) if "://" in path else ("", path)
    parts = rest.rstrip("/").split("/")
    for number in range(len(parts), 0, -1):
        if above := "/".join(parts[:number]):
            yield head + above


def _format_through(spark: SparkSession, path: str) -> str | None:
    """Return the format of a table as :func:`format_of` does, through Spark Connect."""
    if through.exists(
        spark, f"{path.rstrip('/')}/_delta_log"
    ):  # first: Databricks reads no path of a Delta table as plain files
        return "delta"
    if not through.exists(spark, path):
        return None
    names = through.names_below(spark, path)
    if "" in names:
        return _by_ending(path.rstrip("/").rsplit("/", 1)[-1])
    # The files themselves, or those in folders such as day=2026-01-01.
    inside = [name for name in names if all("=" in part for part in name.split("/")[:-1])]
    kinds = {kind for name in inside if (kind := _by_ending(name.rsplit("/", 1)[-1]))}
    return kinds.pop() if len(kinds) == 1 else None


def _tables_through(spark: SparkSession, path: str) -> Iterator[tuple[str, str]]:
    """Yield tables as :func:`tables_below` does, through Spark Connect: one listing, and a look for a log in each folder."""
    found = _format_through(spark, path)
    names = through.names_below(spark, path)
    if found in ("delta", "parquet") or "" in names:
        if found:
            yield path, found
        return
    folders = sorted({"/".join(name.split("/")[:depth]) for name in names for depth in range(1, name.count("/") + 1)})
    taken: list[str] = []
    for folder in folders:
        if any(f"{folder}/".startswith(f"{one}/") for one in taken):
            continue
        kind = _format_through(spark, f"{path}/{folder}")
        if kind in ("delta", "parquet"):
            taken.append(folder)
            yield f"{path}/{folder}", kind
    for name in sorted(names):
        if not any(name.startswith(f"{one}/") for one in taken) and (kind := _by_ending(name.rsplit("/", 1)[-1])):
            yield f"{path}/{name}", kind


def _names(system: Any, place: Any) -> list[tuple[str, bool]]:
    """Return (name, is a folder) of the entries of a folder, sorted."""
    return sorted((entry.getPath().getName(), bool(entry.isDirectory())) for entry in system.listStatus(place))


def _by_ending(name: str) -> str | None:
    if name.startswith(("_", ".")):
        return None
    return next((kind for ending, kind in ENDINGS.items() if name.lower().endswith(ending)), None)


def on_system(spark: SparkSession, path: str) -> tuple[Any, Any]:
    """Return the file system of a path, and Hadoop's object for the path; for sessions with a JVM."""
    context: Any = spark.sparkContext
    place = context._jvm.org.apache.hadoop.fs.Path(path)
    return place.getFileSystem(context._jsc.hadoopConfiguration()), place
