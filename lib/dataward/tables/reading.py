"""Readers of files: options, columns, and a column that marks the records which cannot be read without loss."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from typing import TYPE_CHECKING, Any, cast

from dataward.contract import Source
from dataward.contract.reserved import MALFORMED
from dataward.errors import SettingRefused, SourceError
from dataward.spark.settings import settings
from dataward.spark.sql import column
from dataward.tables import files
from dataward.tables.lines import undecodable
from dataward.tables.secrets import resolved

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession
    from pyspark.sql.types import DataType, StructField, StructType

__all__ = [
    "UNDECODABLE",
    "check_keys",
    "columns_of",
    "counted",
    "marked",
    "of_all_files",
    "option",
    "permissive",
    "reader_of",
]

UNDECODABLE = "\ufffd bytes that do not fit the encoding"
"""Mark of a record in which Spark replaced bytes."""


def check_keys(spark: SparkSession, source: Source, paths: Sequence[str]) -> None:
    """Check that the keys of JSON and the contract's schema agree in case: else Spark reads null.

    Raises:
        SourceError: a key has another case than in the schema.
    """
    if source.schema_ is None:  # then the columns have the names of the keys
        return
    bare = source.model_copy(update={"schema_": None})
    reader = reader_of(spark.read, source, primitivesAsString="true", samplingRatio="1.0").option(*files.LITERAL)
    seen = columns_of(reader, bare, list(paths))
    if other := _unlike(columns_of(reader, source, list(paths)), seen):
        raise SourceError(
            f"source {source}: its JSON has the key '{other[1]}' and source.schema '{other[0]}', which Spark reads as null; "
            "write them alike"
        )


def _unlike(wanted: DataType, seen: DataType) -> tuple[str, str] | None:
    """Return the first field of ``wanted`` with its name in ``seen``, where the two differ in case only."""
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


def reader_of(reader: Any, source: Source, **more: str) -> Any:
    """Return a reader with the format and options of a source, and further options."""
    options = {key: option(value) for key, value in source.reader_options.items()}
    return reader.format(source.format).options(**options).options(**resolved(source.options_from)).options(**more)


def columns_of(reader: Any, source: Source, paths: str | list[str]) -> StructType:
    """Return the columns of the contract's schema, or of the present files.

    Raises:
        SourceError: a column has a reserved name, or a file's name cannot be read.
    """
    if source.schema_:
        found = cast("StructType", reader.schema(source.schema_).load(paths).schema)
        if MALFORMED in map(str.lower, found.names):
            raise _taken(source)
        return found
    if source.multi_line and not isinstance(paths, str) and any(re.search(r"[*?{}\[\]\\]", path) for path in paths):
        # With multiLine, Spark lists files by Hadoop, which interprets these characters as patterns.
        if source.format == "json":
            raise SourceError(
                f"source {source}: a file's name holds one of * ? [ ] {{ }}; rename it, or give source.schema"
            )
        reader = reader.option("multiLine", "false")
    if source.format in ("avro", "orc", "parquet"):
        return _of_all(reader, source, paths)
    reader = reader.option("columnNameOfCorruptRecord", MALFORMED)
    found = _keys(reader, source, paths) if source.format == "json" else reader.load(paths).schema
    if source.format == "csv" and MALFORMED in found.names:  # Spark adds a column of this name to JSON's only
        raise _taken(source)
    return cast("StructType", type(found)([one for one in found.fields if one.name != MALFORMED]))


def _of_all(reader: Any, source: Source, paths: str | list[str]) -> StructType:
    """Return the columns of all files: Spark itself takes those of one, and loses the columns that only others have.

    ``mergeSchema: false`` (parquet, orc) and ``avroSchema`` of the contract leave the choice to Spark.

    Raises:
        SourceError: a column has different types in different files.
    """
    from pyspark.sql import SparkSession

    chosen = source.reader_options.keys() & {"mergeschema", "avroschema"}
    if isinstance(paths, str) or len(paths) == 1 or chosen:
        return cast("StructType", reader.load(paths).schema)
    of_one = cast("StructType", reader.load(paths).schema)  # with the partitions' columns
    if source.format != "avro":
        try:
            return cast("StructType", reader.option("mergeSchema", "true").load(paths).schema)
        except Exception as error:
            if "CANNOT_MERGE" not in str(error):
                raise
    spark = SparkSession.getActiveSession()
    with ThreadPoolExecutor(8) as pool:
        schemas = list(pool.map(lambda path: _of_file(spark, source, path), paths))
    return of_all_files(source, dict(zip(paths, schemas, strict=True)), of_one)


def _of_file(spark: Any, source: Source, path: str) -> StructType:
    reader = reader_of(spark.read, source).option(*files.LITERAL).option("basePath", path.rsplit("/", 1)[0])
    return cast("StructType", reader.load(path).schema)


def of_all_files(source: Source, schemas: Mapping[str, StructType], partitioned: StructType) -> StructType:
    """Return the columns of files with these schemas, by path, and the columns that only ``partitioned`` has.

    Raises:
        SourceError: a column has different types in different files.
    """
    from pyspark.sql.types import StructType

    found: dict[str, StructField] = {}
    for path, schema in schemas.items():
        for field in schema.fields:
            known = found.setdefault(field.name.lower(), field)
            if known.dataType.simpleString().lower() != field.dataType.simpleString().lower():
                one, other = known.dataType.simpleString(), field.dataType.simpleString()
                raise SourceError(
                    f"source {source}: column '{field.name}' is {one} in one file and {other} in another "
                    f"({path.rsplit('/', 1)[-1]}); write the files alike, or choose the columns by the option "
                    + ("avroSchema" if source.format == "avro" else "mergeSchema: false (those of one file)")
                )
    return StructType([*found.values(), *(field for field in partitioned.fields if field.name.lower() not in found)])


def _taken(source: Source) -> SourceError:
    return SourceError(
        f"source {source}: it has a column '{MALFORMED}', a name that Dataward uses; rename it in the source"
    )


def _keys(reader: Any, source: Source, paths: str | list[str]) -> StructType:
    """Return the columns of JSON with case: without it Spark uses one spelling and loses the values of the others."""
    from pyspark.sql import SparkSession

    try:
        with settings(cast("SparkSession", SparkSession.getActiveSession()), {"spark.sql.caseSensitive": "true"}):
            found = cast("StructType", reader.load(paths).schema)
    except SettingRefused as error:
        raise SourceError(
            f"source {source}: {error}, by which keys of JSON that differ in case are found; give 'schema' under 'source'"
        ) from None
    if clash := _clash(found):
        raise SourceError(
            f"source {source}: its JSON has the keys '{clash[0]}' and '{clash[1]}', which Spark does not tell apart; use one "
            "spelling"
        )
    return found


def _clash(kind: DataType) -> tuple[str, str] | None:
    """Return two fields of one struct that differ in case only."""
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


def permissive(reader: Any, source: Source, schema: StructType) -> Any:
    """Return a reader that puts a record which it cannot parse into column MALFORMED."""
    reader = reader.option("mode", "PERMISSIVE").option("columnNameOfCorruptRecord", MALFORMED)
    if source.format == "csv":
        reader = reader.option("enforceSchema", "false")  # a header in another order is an error, not a shuffle
        reader = reader.option("columnPruning", "false")  # as the session's setting, which a platform may refuse
    return reader.schema(schema if MALFORMED in schema.names else schema.add(MALFORMED, "string"))


def option(value: Any) -> str:
    """Return the value of an option as Spark spells it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def marked(frame: DataFrame, source: Source, replaced: Sequence[str] | None, mixed: Sequence[str]) -> DataFrame:
    """Mark records in which Spark replaced bytes, or whose line ending differs from the first.

    Args:
        frame: frame of the files, with column MALFORMED.
        source: the source.
        replaced: URIs of files in which U+FFFD replaces bytes (None: all); in other files it is a character.
        mixed: URIs of files with more than one kind of line ending.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.types import StringType

    if not mixed and replaced is not None and not replaced:
        return frame
    malformed = F.col(MALFORMED)
    columns = [one for one in frame.schema.fields if one.name != MALFORMED]
    texts = [column(one.name) for one in columns if isinstance(one.dataType, StringType)]
    if source.format == "json":  # Spark itself marks such a record as malformed
        doubtful = malformed.contains("\ufffd") | F.expr(undecodable(f"cast({MALFORMED} as binary)"))
    else:
        doubtful = reduce(lambda one, other: one | other, (text.contains("\ufffd") for text in texts), F.lit(False))
    mark = F.when(_in_files(replaced) & doubtful, F.lit(UNDECODABLE)).otherwise(malformed)
    if mixed and texts:
        mark = F.when(_in_files(mixed) & texts[-1].endswith("\r"), F.lit("\r")).otherwise(mark)
    return frame.withColumn(MALFORMED, mark).withMetadata(MALFORMED, {"encoding": source.encoding})


def counted(frame: DataFrame) -> tuple[int, tuple[str, ...]]:
    """Return the number of rows, and a warning for each kind of records that cannot be read as they are meant.

    Args:
        frame: frame of a source; only that of csv and json files has the column MALFORMED.
    """
    from pyspark.sql import functions as F

    if MALFORMED not in frame.columns:
        return int(frame.count()), ()
    mark, wrong = F.col(MALFORMED), F.col(MALFORMED).isNotNull()
    decoded = F.count(F.when(wrong & (mark == UNDECODABLE), 1)), F.count(F.when(wrong & (mark != UNDECODABLE), 1))
    rows, garbled, broken = map(int, frame.agg(F.count("*"), *decoded).collect()[0])
    encoding = frame.schema[MALFORMED].metadata.get("encoding") or "UTF-8"
    warnings = []
    if garbled:
        warnings.append(
            f"{garbled:,} of {rows:,} records hold bytes that are not {encoding}, so their values are seen wrongly: name the "
            "encoding of the files, such as --option encoding=windows-1252"
        )
    if broken:
        warnings.append(
            f"{broken:,} of {rows:,} records are malformed (a field missing, or one too many): a publish would divert them. Compare "
            "the files with --option sep, quote and escape"
        )
    return rows, tuple(warnings)


def _in_files(uris: Sequence[str] | None) -> Column:
    """Return whether a row is of one of these files; None: of any file."""
    from pyspark.sql import functions as F

    return F.lit(True) if uris is None else F.col("_metadata.file_path").isin(list(uris))
