"""Pinned reads: every pass of a run sees the same rows.

Delta is pinned by version. Files are pinned by a manifest (path, size, modification time of each); the frame reads
exactly the files listed, and :meth:`Pin.changed` lists again before the commit. Views and Parquet tables of the catalog are read as
Spark reads them and pinned by their files; a view that reads more than files is not pinned, and its description says so.

CSV is read as RFC 4180 has it: the header is checked, and the lines of the files are looked at before they are parsed
(:mod:`dataward.tables.lines`). There is one reader, for sources and references alike.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from typing import TYPE_CHECKING, Any, cast

from dataward.contract import Source
from dataward.contract.reserved import MALFORMED
from dataward.errors import SourceError
from dataward.spark.sql import column
from dataward.tables import catalog, delta, files, header
from dataward.tables.lines import Lines, look, undecodable
from dataward.tables.maintenance import settings
from dataward.tables.reason import reason

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession
    from pyspark.sql.types import DataType, StructType

__all__ = ["MALFORMED", "UNDECODABLE", "Pin", "manifest", "pin", "loss_free", "streaming"]

UNDECODABLE = "\ufffd bytes that do not fit the encoding"
"""What that column holds of a record in which Spark replaced bytes."""

SAMPLE = 100  # records below the header, by which names are told from values


@dataclass(frozen=True)
class Pin:
    """A source held still: its frame, and the words and the digest that name what exactly was read.

    ``now`` gives the digest again; None where what was pinned cannot change.
    """

    frame: DataFrame
    described: str
    version: int | None
    digest: str
    source: Source = field(repr=False)
    now: Callable[[SparkSession], str] | None = field(default=None, repr=False)

    @property
    def columns(self) -> list[str]:
        """Names of the source's own columns."""
        return [name for name in self.frame.columns if name != MALFORMED]

    def changed(self, spark: SparkSession) -> bool:
        """Whether what was pinned is no longer what it was."""
        return self.now is not None and self.now(spark) != self.digest


def pin(spark: SparkSession, source: Source, version: int | None = None, schema_only: bool = False) -> Pin:
    """Hold a source still; ``version`` overrides the contract's (a rerun reads what the first run read).

    ``schema_only``: the rows of the frame will not be read (or be :func:`loss_free` first), so no file is read beyond its header.

    Raises:
        SourceError: the source is missing, is not of its format, is empty of files, or cannot be read without loss.
    """
    with _readable(source):
        if source.format == "delta":
            return _pin_delta(spark, source, version)
        if source.table is not None:
            _refuse_other_kinds(spark, source, source.table)
            if source.format in ("parquet", "view"):
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
        raise SourceError(f"source {source}: {reason(error)}. Check 'source' in the contract") from None


def _pin_delta(spark: SparkSession, source: Source, version: int | None) -> Pin:
    if source.table and (other := catalog.instead_of_delta(spark, source)):
        spelled = "view" if other == "a view" else other.rsplit(" ", 1)[-1]
        raise SourceError(f"source {source}: it is {other}, no Delta table. Write 'format: {spelled}' under 'source'")
    if not delta.exists(spark, source):
        raise SourceError(f"source {source}: there is no Delta table here. Check 'source.path' and 'source.format'")
    wanted = version if version is not None else source.version
    if wanted is None:
        wanted = delta.latest_version(spark, source)
    frame = delta.read(spark, source, wanted)
    digest = hashlib.sha256(f"delta {source} {delta.table_id(spark, source)} {wanted}".encode()).hexdigest()
    return Pin(frame, f"{source} @ version {wanted}", wanted, digest, source)


def _refuse_other_kinds(spark: SparkSession, source: Source, name: str) -> None:
    found = catalog.kind(spark, name)
    if found is None:
        raise SourceError(f"source {source}: there is no such table. Check 'source.table'")
    if found != source.format:
        what = "a view" if found == "view" else f"a table stored as {found}"
        remedy = "leave out 'source.format'" if found == "delta" else f"write 'format: {found}' under 'source'"
        raise SourceError(f"source {source}: it is {what}, not {source.format}; {remedy}")


def _pin_relation(spark: SparkSession, source: Source, name: str) -> Pin:
    frame, told, digest = catalog.relation(spark, name)
    described = f"{source} ({'a view, ' if source.format == 'view' else ''}{told})"
    return Pin(frame, described, None, digest, source, partial(catalog.digest_of_relation, name=name))


def _pin_files(spark: SparkSession, source: Source) -> Pin:
    """The files that are there, and a frame whose schema is theirs."""
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
    inferring = _reader(spark.read, source).option(*files.LITERAL)
    if base is not None:
        inferring = inferring.option("basePath", base)
    schema = _spelled(inferring, source, paths)
    if not schema.fields:
        raise SourceError(f"source {source}: no record of it is {source.format.upper()}. Check 'source.format'")
    frame = _Reading(source, schema, base).frame(spark, paths)
    size = sum(length for _, length, _ in listed)
    skipped = f"; not read, as Spark skips names that begin with _ or .: {_some(beside)}" if beside else ""
    described = f"{source} ({len(listed)} file{'s' if len(listed) > 1 else ''}, {size} bytes{skipped})"
    return Pin(frame, described, None, _digest(listed), source, partial(_digest_now, source=source))


def _beside(spark: SparkSession, source: Source, listed: Sequence[tuple[str, int, str]]) -> list[str]:
    """Data files of a folder that Spark skips by their names."""
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
    if source.path is not None and files.exists(spark, source.path):
        system, place = files.on_system(spark, source.path)
        if not system.getFileStatus(place).isDirectory():
            if place.getName().startswith(("_", ".")):
                return "Spark skips files whose names begin with _ or . . Rename it"
            return "the file is empty (0 bytes). Check whether it was delivered"
    return "there are no files here, or all are empty (0 bytes). Check 'source.path'"


def _check_header(spark: SparkSession, source: Source, path: str) -> None:
    """Raise SourceError where the header of a file is none, or has names that Spark does not keep apart."""
    options = {"header": "false", "inferSchema": "false", "mode": "PERMISSIVE", "nullValue": ""}
    reader = _reader(spark.read, source, **options).option(*files.LITERAL)
    schema = _spelled(reader, source, [path])
    reader = _reader(spark.read, source, **options).option(*files.LITERAL).schema(schema)
    records = [list(row) for row in reader.load([path]).limit(SAMPLE + 1).collect()]
    if records and (trouble := header.trouble(records[0], records[1:])):
        raise SourceError(f"source {source}: {trouble[0]} ({path.rsplit('/', 1)[-1]}); {trouble[1]}")


def loss_free(spark: SparkSession, pinned: Pin, paths: Sequence[str] | None = None) -> Pin:
    """A pin of files (of these ``paths`` of them, else of all) whose rows can be read: what reading would lose is refused or marked.

    Raises:
        SourceError: a quoted field of CSV is left open, or JSON has keys that differ from the schema's in case alone.
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
            _check_keys(spark, source, wanted)
            return replace(pinned, frame=_marked(reading.frame(spark, wanted), source, None, ()))
        found = look(spark, source, wanted)
        if open_ones := sorted(one.path for one in found if one.left_open):
            raise SourceError(f"source {source}: {_left_open(source, open_ones)}")
        return replace(pinned, frame=_by_separator(spark, reading, wanted, found))


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
    """How files of a source are read: with the columns of all of them, and below which folder folders spell columns."""

    source: Source
    schema: StructType
    base: str | None

    def frame(self, spark: SparkSession, paths: Sequence[str], **more: str) -> DataFrame:
        reader = _reader(spark.read, self.source, **more).option(*files.LITERAL)
        if self.base is not None:
            reader = reader.option("basePath", self.base)
        if self.source.format in ("csv", "json"):
            reader = _permissive(reader, self.source, self.schema)
        return cast("DataFrame", reader.load(list(paths)))


def _base(spark: SparkSession, source: Source, listed: Sequence[str]) -> str | None:
    """The folder below which folders spell columns; None for a file, and for a pattern."""
    if source.table is not None:
        return catalog.place(spark, source.table)
    path = str(source.path)
    a_file = any(one.rstrip("/").endswith(path.rstrip("/")) for one in listed)
    return None if a_file or not files.exists(spark, path) else path


def _by_separator(spark: SparkSession, reading: _Reading, wanted: Sequence[str], found: Sequence[Lines]) -> DataFrame:
    """The frame of CSV files, each read with the separator that its lines have."""
    separators = {one.path: one.separator for one in found}
    groups: dict[str, list[str]] = {}
    for path in wanted:
        groups.setdefault(separators.get(path) or "", []).append(path)
    frames = [
        reading.frame(spark, paths, **({"lineSep": separator} if separator else {}))
        for separator, paths in sorted(groups.items())
    ]
    all_of_them = None if reading.source.encoding != "UTF-8" else [one.uri for one in found if one.undecodable]
    mixed = [one.uri for one in found if one.mixed]
    marked = [_marked(frame, reading.source, all_of_them, mixed) for frame in frames]
    return reduce(lambda one, other: one.unionByName(other), marked)


def _marked(frame: DataFrame, source: Source, replaced: Sequence[str] | None, mixed: Sequence[str]) -> DataFrame:
    """The frame with records marked in which Spark replaced bytes, or whose line ends otherwise than the first.

    ``replaced``: the files in which U+FFFD stands for bytes (None: all); in others it is a character.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.types import StringType

    if not mixed and replaced is not None and not replaced:
        return frame
    malformed = F.col(MALFORMED)
    columns = [one for one in frame.schema.fields if one.name != MALFORMED]
    texts = [column(one.name) for one in columns if isinstance(one.dataType, StringType)]
    if source.format == "json":  # Spark takes such a record for malformed by itself
        doubtful = malformed.contains("\ufffd") | F.expr(undecodable(f"cast({MALFORMED} as binary)"))
    else:
        doubtful = reduce(lambda one, other: one | other, (text.contains("\ufffd") for text in texts), F.lit(False))
    marked = F.when(_in_files(replaced) & doubtful, F.lit(UNDECODABLE)).otherwise(malformed)
    if mixed and texts:
        marked = F.when(_in_files(mixed) & texts[-1].endswith("\r"), F.lit("\r")).otherwise(marked)
    return frame.withColumn(MALFORMED, marked).withMetadata(MALFORMED, {"encoding": source.encoding})


def _in_files(uris: Sequence[str] | None) -> Column:
    """Whether a row is of one of these files; None: of any."""
    from pyspark.sql import functions as F

    return F.lit(True) if uris is None else F.col("_metadata.file_path").isin(list(uris))


def _check_keys(spark: SparkSession, source: Source, paths: Sequence[str]) -> None:
    """Raise SourceError where a key of JSON is written in another case than in the contract's schema: Spark would give null."""
    if source.schema_ is None:  # then the columns are called as the keys are
        return
    bare = source.model_copy(update={"schema_": None})
    reader = _reader(spark.read, source, primitivesAsString="true", samplingRatio="1.0").option(*files.LITERAL)
    seen = _spelled(reader, bare, list(paths))
    if other := _unlike(_spelled(reader, source, list(paths)), seen):
        raise SourceError(
            f"source {source}: its JSON has the key '{other[1]}' and source.schema '{other[0]}', which Spark reads as null; "
            "write them alike"
        )


def _unlike(wanted: DataType, seen: DataType) -> tuple[str, str] | None:
    """A field, and what it is called where that differs in case alone."""
    from pyspark.sql.types import ArrayType, MapType, StructType

    if isinstance(wanted, ArrayType) and isinstance(seen, ArrayType):
        return _unlike(wanted.elementType, seen.elementType)
    if isinstance(wanted, MapType) and isinstance(seen, StructType):
        return next(filter(None, (_unlike(wanted.valueType, one.dataType) for one in seen)), None)
    if not (isinstance(wanted, StructType) and isinstance(seen, StructType)):
        return None
    for one in wanted:
        for other in seen:
            if one.name.lower() == other.name.lower():
                found = (one.name, other.name) if one.name != other.name else _unlike(one.dataType, other.dataType)
                if found:
                    return found
    return None


def _reader(reader: Any, source: Source, **more: str) -> Any:
    options = {key: _option(value) for key, value in source.reader_options.items()}
    return reader.format(source.format).options(**options).options(**more)


def _spelled(reader: Any, source: Source, paths: str | list[str]) -> StructType:
    """The columns: the contract's, or those of the files that are there."""
    if source.schema_:
        found = cast("StructType", reader.schema(source.schema_).load(paths).schema)
        if MALFORMED in map(str.lower, found.names):
            raise _taken(source)
        return found
    if source.multi_line and not isinstance(paths, str) and any(re.search(r"[*?{}\[\]\\]", path) for path in paths):
        # Spark lists files whose records go over several lines by Hadoop, which takes these characters for patterns.
        if source.format == "json":
            raise SourceError(
                f"source {source}: a file's name holds one of * ? [ ] {{ }}; rename it, or give source.schema"
            )
        reader = reader.option("multiLine", "false")
    reader = reader.option("columnNameOfCorruptRecord", MALFORMED)
    found = _keys(reader, source, paths) if source.format == "json" else reader.load(paths).schema
    if source.format == "csv" and MALFORMED in found.names:  # Spark adds a column of this name to JSON's only
        raise _taken(source)
    return cast("StructType", type(found)([one for one in found.fields if one.name != MALFORMED]))


def _taken(source: Source) -> SourceError:
    return SourceError(
        f"source {source}: it has a column '{MALFORMED}', a name that Dataward uses; rename it in the source"
    )


def _keys(reader: Any, source: Source, paths: str | list[str]) -> StructType:
    """The columns of JSON, each key by itself: without case Spark would take one spelling and lose the values of the others."""
    from pyspark.sql import SparkSession

    with settings(cast("SparkSession", SparkSession.getActiveSession()), {"spark.sql.caseSensitive": "true"}):
        found = cast("StructType", reader.load(paths).schema)
    if clash := _clash(found):
        raise SourceError(
            f"source {source}: its JSON has the keys '{clash[0]}' and '{clash[1]}', which Spark does not tell apart; write them in "
            "one way"
        )
    return found


def _clash(kind: DataType) -> tuple[str, str] | None:
    """Two fields of one struct that differ in case alone."""
    from pyspark.sql.types import ArrayType, StructType

    if isinstance(kind, ArrayType):
        return _clash(kind.elementType)
    if not isinstance(kind, StructType):
        return None
    seen: dict[str, str] = {}
    for one in kind:
        if (other := seen.setdefault(one.name.lower(), one.name)) != one.name:
            return other, one.name
    return next(filter(None, (_clash(one.dataType) for one in kind)), None)


def _permissive(reader: Any, source: Source, schema: StructType) -> Any:
    """A reader that gives a record which it cannot read in a column of its own."""
    reader = reader.option("mode", "PERMISSIVE").option("columnNameOfCorruptRecord", MALFORMED)
    if source.format == "csv":
        reader = reader.option("enforceSchema", "false")  # a header in another order is an error, not a shuffle
    return reader.schema(schema if MALFORMED in schema.names else schema.add(MALFORMED, "string"))


def streaming(spark: SparkSession, source: Source) -> DataFrame:
    """A source as a stream. Files have the columns that those there now have (csv, json: or the contract's ``schema``).

    Lines of files that are still to come cannot be looked at: U+FFFD in a record of CSV counts as bytes that were replaced.

    Raises:
        SourceError: there is nothing to tell the columns by, or it cannot be streamed.
    """
    with _readable(source):
        if source.format == "view":
            raise SourceError(f"source {source}: a view cannot be streamed; name the table below it")
        reader = _reader(spark.readStream, source)
        if source.format == "delta":
            return cast("DataFrame", reader.load(source.path) if source.path else reader.table(source.table))
        if source.path is None:
            raise SourceError(f"source {source}: a table of {source.format} files cannot be streamed; name its 'path'")
        schema = _spelled(_reader(spark.read, source), source, source.path)
        if source.format not in ("csv", "json"):
            return cast("DataFrame", reader.schema(schema).load(source.path))
        return _marked(_permissive(reader, source, schema).load(source.path), source, None, ())


def manifest(spark: SparkSession, source: Source) -> list[tuple[str, int, str]]:
    """(path, bytes, modification time) of every file, sorted. Lists only: no content is read."""
    if source.table is not None:
        return catalog.listing(spark, spark.table(source.table))
    path, options = str(source.path), source.reader_options
    narrowed = {
        key: _option(value) for key, value in options.items() if key in ("pathglobfilter", "recursivefilelookup")
    }
    return files.listed(spark, path, files.exists(spark, path), narrowed)


def _digest_now(spark: SparkSession, source: Source) -> str:
    return _digest(manifest(spark, source))


def _digest(listed: list[tuple[str, int, str]]) -> str:
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def _option(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
