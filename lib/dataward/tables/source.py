"""Pinned reads: every pass of a run reads the same rows.

Delta tables are pinned by version. Files are pinned by a manifest (path, size, modification time); the frame reads exactly the listed
files, and :meth:`Pin.changed` lists them again before the commit. Views and Parquet tables of the catalog are pinned by their files, and
by the versions of the Delta tables that a view reads; a view that reads anything else is not pinned, and its description says so.

CSV is read according to RFC 4180: the header is checked, and the lines of the files are examined before they are parsed
(:mod:`dataward.tables.lines`). Sources and references share this reader.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from typing import TYPE_CHECKING, Any, cast

from dataward.contract import Source
from dataward.contract.places import split_path
from dataward.contract.reserved import MALFORMED
from dataward.errors import SourceError
from dataward.spark.kind import is_remote
from dataward.tables import catalog, connectors, delta, files, header, iceberg, jdbc
from dataward.tables.lines import Lines, look
from dataward.tables.log import Newest
from dataward.tables.reading import check_keys, columns_of, marked, option, permissive, reader_of
from dataward.tables.reason import reason

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

__all__ = ["MALFORMED", "Pin", "manifest", "newest", "pin", "loss_free", "of_files", "streaming"]

SAMPLE = 100  # records below the header, which distinguish names from values


@dataclass(frozen=True)
class Pin:
    """A pinned source.

    Attributes:
        frame: the rows.
        described: what is read, as text.
        version: version of a Delta table, Iceberg's snapshot, or a database's watermark; None for other formats.
        digest: SHA-256 (hex) that identifies what is read.
        source: the source.
        now: function that computes the digest again; None where the pinned rows cannot change.
        seal: the verified seal of the version.
        size: bytes of its files; None where that is not known.
    """

    frame: DataFrame
    described: str
    version: int | None
    digest: str
    source: Source = field(repr=False)
    now: Callable[[SparkSession], str] | None = field(default=None, repr=False)
    size: int | None = None
    seal: Mapping[str, Any] | None = None

    @property
    def columns(self) -> list[str]:
        """Names of the source's own columns."""
        return [name for name in self.frame.columns if name != MALFORMED]

    def changed(self, spark: SparkSession) -> bool:
        """Return whether the pinned rows changed."""
        return self.now is not None and self.now(spark) != self.digest


def pin(spark: SparkSession, source: Source, version: int | None = None, schema_only: bool = False) -> Pin:
    """Pin a source.

    Args:
        spark: the session.
        source: the source.
        version: version to read instead of the contract's: a rerun reads what the first run read.
        schema_only: read only headers, because the rows are not used, or only after :func:`loss_free`.

    Raises:
        SourceError: the source is missing, has another format, has no files, or cannot be read without loss.
    """
    with _readable(source):
        if source.format == "frame":
            raise SourceError(
                f"source {source}: its rows are with the caller of dataward.publish(contract, source=df) only"
            )
        if source.format == "kafka":
            raise SourceError(f"source {source}: it is read as a stream: publish it with --stream CHECKPOINT")
        if source.format == "delta":
            return _pin_delta(spark, source, version)
        if source.format in ("jdbc", "iceberg"):
            return _pin_outside(spark, source, version)
        if source.table is not None:
            _refuse_other_kinds(spark, source, source.table)
            if source.format not in ("csv", "json"):
                return _pin_relation(spark, source, source.table)
        found = _pin_files(spark, source)
        return found if schema_only else loss_free(spark, found)


@contextmanager
def _readable(source: Source) -> Iterator[None]:
    try:
        yield
    except SourceError:
        raise
    except Exception as error:
        if absent := connectors.absent(source.format, error):
            raise SourceError(f"source {source}: {absent}") from None
        raise SourceError(f"source {source}: {reason(error)}. Check 'source' in the contract") from None


def newest(spark: SparkSession, source: Source) -> Newest:
    """Return the newest version of a source in Delta.

    Raises:
        SourceError: there is no Delta table.
    """
    present = delta.newest(spark, source)
    if present is None:
        field = "source.table" if source.table else "source.path"
        raise SourceError(f"source {source}: there is no Delta table here. Check '{field}' and 'source.format'")
    return present


def _pin_delta(spark: SparkSession, source: Source, version: int | None) -> Pin:
    if source.table and (other := catalog.instead_of_delta(spark, source)):
        spelled = "view" if other == "a view" else other.rsplit(" ", 1)[-1]
        raise SourceError(f"source {source}: it is {other}, no Delta table. Write 'format: {spelled}' under 'source'")
    present = newest(spark, source)
    wanted = version if version is not None else source.version
    if wanted is None:
        wanted = present.version
    frame = delta.read(spark, source, wanted)
    digest = hashlib.sha256(f"delta {source} {present.id} {wanted}".encode()).hexdigest()
    size = present.size if wanted == present.version else None
    return Pin(frame, f"{source} @ version {wanted}", wanted, digest, source, size=size)


def _pin_outside(spark: SparkSession, source: Source, version: int | None) -> Pin:
    """Pin a table of a database, or of Iceberg."""
    if source.format == "iceberg":
        frame, snapshot = iceberg.at_snapshot(spark, source, version if version is not None else source.version)
        digest = hashlib.sha256(f"iceberg {source} {snapshot}".encode()).hexdigest()
        return Pin(frame, f"{source} @ snapshot {snapshot}", snapshot, digest, source)
    rows = jdbc.rows_of(spark, source, version)
    counted = partial(jdbc.count_digest, source=source, frame=rows.frame, mark=rows.version or 0)
    now = None if rows.version is None else counted
    return Pin(rows.frame, f"{source} @ {rows.described}", rows.version, rows.digest, source, now)


def _refuse_other_kinds(spark: SparkSession, source: Source, name: str) -> None:
    found = catalog.kind(spark, name)
    if found is None:
        own = "; pass a temporary view as source=spark.table(NAME)" if source.format == "view" else ""
        raise SourceError(f"source {source}: there is no such table. Check 'source.table'{own}")
    if found != source.format:
        what = "a view" if found == "view" else f"a table stored as {found}"
        remedy = "leave out 'source.format'" if found == "delta" else f"write 'format: {found}' under 'source'"
        raise SourceError(f"source {source}: it is {what}, not {source.format}; {remedy}")


def _pin_relation(spark: SparkSession, source: Source, name: str) -> Pin:
    frame, words, digest = catalog.relation(spark, name)
    described = f"{source} ({'a view, ' if source.format == 'view' else ''}{words})"
    return Pin(frame, described, None, digest, source, partial(catalog.digest_of_relation, name=name))


def _pin_files(spark: SparkSession, source: Source) -> Pin:
    """Pin the present files, with the schema of their content."""
    if source.path is not None and (table := files.in_delta(spark, source.path)):
        raise SourceError(
            f"source {source}: {table} is a Delta table, and its files hold rows that were deleted from it; leave out "
            "'source.format' to read the table"
        )
    listed = manifest(spark, source)
    beside = _beside(spark, source, listed)
    if not listed:
        raise SourceError(f"source {source}: {_why_empty(spark, source, beside)}")
    paths = [path for path, _, _ in listed]
    if source.format == "csv" and source.switched_on("header") and source.schema_ is None:
        _check_header(spark, source, paths[0])
    base = _base(spark, source, paths)
    inferring = reader_of(spark.read, source).option(*files.LITERAL)
    if base is not None:
        inferring = inferring.option("basePath", base)
    schema = columns_of(inferring, source, paths)
    if not schema.fields:
        raise SourceError(f"source {source}: no record of it is {source.format.upper()}. Check 'source.format'")
    frame = _Reading(source, schema, base).frame(spark, paths)
    size = sum(length for _, length, _ in listed)
    skipped = f"; not read, as Spark skips names that begin with _ or .: {_some(beside)}" if beside else ""
    described = f"{source} ({len(listed)} file{'s' if len(listed) > 1 else ''}, {size} bytes{skipped})"
    return Pin(frame, described, None, _digest(listed), source, partial(_digest_now, source=source), size)


def _beside(spark: SparkSession, source: Source, listed: Sequence[tuple[str, int, str]]) -> list[str]:
    """Return data files of a folder that Spark skips because of their names."""
    if source.path is None or not files.exists(spark, source.path):
        return []
    root = files.plain(files.qualified(spark, source.path))
    depth = max((path.removeprefix(root).strip("/").count("/") for path, _, _ in listed), default=0)
    return files.skipped(spark, source.path, depth)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _why_empty(spark: SparkSession, source: Source, beside: Sequence[str]) -> str:
    if beside:
        return f"Spark skips files whose names begin with _ or .: {_some(beside)}. Rename them"
    if source.path is not None and not is_remote(spark) and files.exists(spark, source.path):
        system, place = files.on_system(spark, source.path)
        if not system.getFileStatus(place).isDirectory():
            if place.getName().startswith(("_", ".")):
                return "Spark skips files whose names begin with _ or . . Rename it"
            return "the file is empty (0 bytes). Check whether it was delivered"
    return "there are no files here, or all are empty (0 bytes). Check 'source.path'"


def _check_header(spark: SparkSession, source: Source, path: str) -> None:
    """Check that the first record of a file is a header, with names that Spark distinguishes.

    Raises:
        SourceError: it is not.
    """
    options = {"header": "false", "inferSchema": "false", "mode": "PERMISSIVE", "nullValue": ""}
    reader = reader_of(spark.read, source, **options).option(*files.LITERAL)
    schema = columns_of(reader, source, [path])
    reader = reader_of(spark.read, source, **options).option(*files.LITERAL).schema(schema)
    records = [list(row) for row in reader.load([path]).limit(SAMPLE + 1).collect()]
    if records and (trouble := header.trouble(records[0], records[1:])):
        raise SourceError(f"source {source}: {trouble[0]} ({path.rsplit('/', 1)[-1]}); {trouble[1]}")


def loss_free(spark: SparkSession, pinned: Pin, paths: Sequence[str] | None = None) -> Pin:
    """Return a pin whose rows can be read: records that reading would damage are refused or marked.

    Args:
        spark: the session.
        pinned: the pin.
        paths: files to read; None: all.

    Raises:
        SourceError: a quoted field of CSV is left open, or a key of JSON differs from the schema in case only.
    """
    source = pinned.source
    if pinned.now is None or source.format not in ("csv", "json"):
        return pinned
    with _readable(source):
        whole = [path for path, _, _ in manifest(spark, source)]
        wanted = whole if paths is None else [path for path in whole if path in set(paths)]
        reading = _Reading(source, pinned.frame.schema, _base(spark, source, whole))
        if not wanted:
            return pinned
        if source.format == "json":
            check_keys(spark, source, wanted)
            return replace(pinned, frame=marked(reading.frame(spark, wanted), source, None, ()))
        found = look(spark, source, wanted)
        if left_open := sorted(lines.path for lines in found if lines.left_open):
            raise SourceError(f"source {source}: {_left_open(source, left_open)}")
        return replace(pinned, frame=_by_separator(spark, reading, wanted, found))


def of_files(spark: SparkSession, source: Source, paths: Sequence[str]) -> Pin:
    """Return a pin of some files of a source, with the columns of all that are present.

    Raises:
        SourceError: as :func:`pin`.
    """
    with _readable(source):
        found = _pin_files(spark, source)
        if source.format in ("csv", "json"):
            return loss_free(spark, found, paths)
        base = _base(spark, source, [path for path, _, _ in manifest(spark, source)])
        return replace(found, frame=_Reading(source, found.frame.schema, base).frame(spark, paths))


def _left_open(source: Source, paths: Sequence[str]) -> str:
    where = paths[0].rsplit("/", 1)[-1] + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
    if not source.multi_line:
        return (
            f"a quoted field is left open at the end of a line of {where}; leave out the option 'multiLine: false', or close the "
            "quote in the file"
        )
    return (
        f"a quoted field is left open to the end of {where}; close the quote in the file, or, where quotes are text like any "
        "other, give the option quote: ''"
    )


@dataclass(frozen=True)
class _Reading:
    """How files of a source are read.

    Attributes:
        source: the source.
        schema: columns of all files.
        base: folder whose subfolders are partitions; None: none are.
    """

    source: Source
    schema: StructType
    base: str | None

    def frame(self, spark: SparkSession, paths: Sequence[str], **more: str) -> DataFrame:
        reader = reader_of(spark.read, self.source, **more).option(*files.LITERAL)
        if self.base is not None:
            reader = reader.option("basePath", self.base)
        if self.source.format in ("csv", "json"):
            reader = permissive(reader, self.source, self.schema)
        elif "avroschema" not in self.source.reader_options:
            reader = reader.schema(self.schema)
        return cast("DataFrame", reader.load(list(paths)))


def _base(spark: SparkSession, source: Source, listed: Sequence[str]) -> str | None:
    """Return the folder whose subfolders are partitions; None for a file or a pattern."""
    if source.table is not None:
        return catalog.place(spark, source.table)
    path = str(source.path)
    return None if is_listed(path, listed) or not files.exists(spark, path) else path


def is_listed(path: str, listed: Iterable[str]) -> bool:
    """Return whether a path is one of the listed files, which are absolute, and neither a folder nor a pattern."""
    rest = "/" + re.sub(r"^(\./)+", "", split_path(path)[1]).strip("/")
    return any(f"/{file}".rstrip("/").endswith(rest) for file in listed)


def _by_separator(spark: SparkSession, reading: _Reading, wanted: Sequence[str], found: Sequence[Lines]) -> DataFrame:
    """Read CSV files, each with the separator of its lines."""
    separators = {lines.path: lines.separator for lines in found}
    groups: dict[str, list[str]] = {}
    for path in wanted:
        groups.setdefault(separators.get(path) or "", []).append(path)
    frames = [
        reading.frame(spark, paths, **({"lineSep": separator} if separator else {}))
        for separator, paths in sorted(groups.items())
    ]
    replaced = [lines.uri for lines in found if lines.undecodable] if reading.source.encoding == "UTF-8" else None
    mixed = [lines.uri for lines in found if lines.mixed]
    frames = [marked(frame, reading.source, replaced, mixed) for frame in frames]
    return reduce(lambda left, right: left.unionByName(right), frames)


def streaming(spark: SparkSession, source: Source) -> DataFrame:
    """Read a source as a stream.

    The columns are those of the contract's ``schema``, or of the present files. Lines of future files cannot be examined, so U+FFFD
    in a record of CSV counts as replaced bytes.

    Raises:
        SourceError: the columns are unknown, or the source cannot be streamed.
    """
    with _readable(source):
        if source.format == "view":
            raise SourceError(f"source {source}: a view cannot be streamed; name the table below it")
        if source.format in ("iceberg", "jdbc", "frame"):
            raise SourceError(
                f"source {source}: format {source.format} cannot be streamed; publish it without --stream"
            )
        reader = reader_of(spark.readStream, source)
        if source.format == "kafka":
            return connectors.messages(reader.load(), source)
        if source.format == "delta":
            return cast("DataFrame", reader.load(source.path) if source.path else reader.table(source.table))
        if source.path is None:
            raise SourceError(f"source {source}: a table of {source.format} files cannot be streamed; name its 'path'")
        schema = columns_of(reader_of(spark.read, source), source, source.path)
        if source.format not in ("csv", "json"):
            return cast("DataFrame", reader.schema(schema).load(source.path))
        return marked(permissive(reader, source, schema).load(source.path), source, None, ())


def manifest(spark: SparkSession, source: Source) -> list[tuple[str, int, str]]:
    """Return (path, bytes, modification time) of every file, sorted; no content is read."""
    if source.table is not None:
        return catalog.listing(spark, spark.table(source.table))
    path, options = str(source.path), source.reader_options
    narrowed = {
        key: option(value) for key, value in options.items() if key in ("pathglobfilter", "recursivefilelookup")
    }
    return files.listed(spark, path, files.exists(spark, path), narrowed)


def _digest_now(spark: SparkSession, source: Source) -> str:
    return _digest(manifest(spark, source))


def _digest(listed: list[tuple[str, int, str]]) -> str:
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()
