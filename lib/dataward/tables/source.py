"""Pinned reads: every pass of a run sees the same rows.

Delta is pinned by version. Files are pinned by a manifest (path, size, modification time of each); the frame reads
exactly the files listed, and :meth:`Pin.changed` lists again before the commit.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from dataward.contract import Source
from dataward.errors import SourceError
from dataward.tables import delta
from dataward.tables.reason import reason

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

__all__ = ["MALFORMED", "Pin", "escaped", "manifest", "pin", "streaming"]

MALFORMED = "_dataward_malformed"
"""Column of csv and json sources that holds a record Spark could not read; it never leaves the job."""


@dataclass(frozen=True)
class Pin:
    """A source held still: its frame, and the words and the digest that name what exactly was read."""

    frame: DataFrame
    described: str
    version: int | None
    digest: str
    source: Source = field(repr=False)

    @property
    def columns(self) -> list[str]:
        return [name for name in self.frame.columns if name != MALFORMED]

    def changed(self, spark: SparkSession) -> bool:
        """Whether the files are no longer those that were pinned. A Delta version cannot change."""
        return self.version is None and _digest(manifest(spark, self.source)) != self.digest


def pin(spark: SparkSession, source: Source, version: int | None = None) -> Pin:
    """Hold a source still; ``version`` overrides the contract's (a rerun reads what the first run read).

    Raises:
        SourceError: the source is missing, is not of its format, or is empty of files.
    """
    try:
        if source.format == "delta":
            return _pin_delta(spark, source, version)
        return _pin_files(spark, source)
    except SourceError:
        raise
    except Exception as error:
        raise SourceError(f"source {source}: {reason(error)}. Check 'source' in the contract") from None


def _pin_delta(spark: SparkSession, source: Source, version: int | None) -> Pin:
    if not delta.exists(spark, source):
        raise SourceError(f"source {source}: there is no Delta table here. Check 'source.path' and 'source.format'")
    wanted = version if version is not None else source.version
    if wanted is None:
        wanted = delta.latest_version(spark, source)
    frame = delta.read(spark, source, wanted)
    digest = hashlib.sha256(f"delta {source} {delta.table_id(spark, source)} {wanted}".encode()).hexdigest()
    return Pin(frame, f"{source} @ version {wanted}", wanted, digest, source)


def _pin_files(spark: SparkSession, source: Source) -> Pin:
    listed = manifest(spark, source)
    if not listed:
        raise SourceError(f"source {source}: there are no files here. Check 'source.path'")
    reader = _reader(spark.read, source)
    paths = [escaped(path) for path, _, _ in listed]
    if source.path is not None and not any(path.rstrip("/").endswith(source.path.rstrip("/")) for path, _, _ in listed):
        reader = reader.option("basePath", source.path)  # a directory: keep the columns that its folders spell
    if source.format in ("csv", "json"):
        reader = _permissive(reader, source, _spelled(reader, source, paths))
    frame = reader.load(paths)
    size = sum(length for _, length, _ in listed)
    described = f"{source} ({len(listed)} file{'s' if len(listed) > 1 else ''}, {size} bytes)"
    return Pin(frame, described, None, _digest(listed), source)


def _reader(reader: Any, source: Source) -> Any:
    return reader.format(source.format).options(**{key: _option(value) for key, value in source.options.items()})


def _spelled(reader: Any, source: Source, paths: str | list[str]) -> StructType:
    """The columns: the contract's, or those of the files that are there."""
    return cast("StructType", (reader.schema(source.schema_) if source.schema_ else reader).load(paths).schema)


def _permissive(reader: Any, source: Source, spelled: StructType) -> Any:
    """A reader that gives a record which it cannot read in a column of its own."""
    reader = reader.option("mode", "PERMISSIVE").option("columnNameOfCorruptRecord", MALFORMED)
    if source.format == "csv":
        reader = reader.option("enforceSchema", "false")  # a header in another order is an error, not a shuffle
    return reader.schema(spelled.add(MALFORMED, "string"))


def streaming(spark: SparkSession, source: Source) -> DataFrame:
    """A source as a stream. Files have the columns that those there now have (csv, json: or the contract's ``schema``).

    Raises:
        SourceError: there is nothing to tell the columns by, or it cannot be streamed.
    """
    try:
        reader = _reader(spark.readStream, source)
        if source.format == "delta":
            return cast("DataFrame", reader.load(source.path) if source.path else reader.table(source.table))
        if source.path is None:
            raise SourceError(f"source {source}: a table of {source.format} files cannot be streamed; name its 'path'")
        spelled = _spelled(_reader(spark.read, source), source, source.path)
        if source.format in ("csv", "json"):
            return cast("DataFrame", _permissive(reader, source, spelled).load(source.path))
        return cast("DataFrame", reader.schema(spelled).load(source.path))
    except SourceError:
        raise
    except Exception as error:
        raise SourceError(f"source {source}: {reason(error)}. Check 'source' in the contract") from None


def manifest(spark: SparkSession, source: Source) -> list[tuple[str, int, str]]:
    """(path, bytes, modification time) of every file, sorted. Lists only: no content is read."""
    from pyspark.sql import functions as F

    if source.table is not None:
        files = [escaped(path) for path in spark.table(source.table).inputFiles()]
        if not files:
            return []
        listing = spark.read.format("binaryFile").load(files)
    else:
        reader: Any = spark.read.format("binaryFile")
        for key, value in source.options.items():
            if key in ("pathGlobFilter", "recursiveFileLookup"):
                reader = reader.option(key, _option(value))
        listing = reader.load(source.path)
    rows = listing.select("path", "length", F.col("modificationTime").cast("string")).collect()
    return sorted((row[0], row[1], row[2]) for row in rows)


def _digest(listed: list[tuple[str, int, str]]) -> str:
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def _option(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def escaped(path: str) -> str:
    """A path that Hadoop's globbing takes literally."""
    return re.sub(r"([\\\[\]{}*?])", r"\\\1", path)
