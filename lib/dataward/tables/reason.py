"""Describe failures of Spark without data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dataward.errors import DatawardError, ProtectionError

__all__ = ["OVERTAKEN", "from_worker", "marked", "reason"]

SAFE = {
    "column": ("columnName", "colName", "column", "fieldName", "objectName", "columnPath"),
    "columns": ("columns", "columnNames", "columnList", "badColumns"),
    "table": ("relationName", "tableName", "table", "tableIdentifier"),
    "path": ("path", "filePath", "fileName"),
    "version": ("version", "userVersion"),
    "the versions there are": ("earliest", "latest", "earliestVersion", "latestVersion"),
    "option": ("option", "optionName", "unknownOption"),
    "setting": ("config", "configKey"),
    "constraint": ("constraintName",),
    "function": ("functionName", "routineName", "funcName"),
    "feature": ("feature", "features", "unsupported", "featureName"),
    "format": ("format", "provider"),
    "type": ("dataType", "inputType", "actualType", "srcType", "sourceType", "fromType"),
    "where is expected": ("requiredType", "expectedType", "targetType", "toType"),
    "fields": ("currentField", "updateField"),
}
"""Fields of Spark's and Delta's errors with only names and types, with the word before them in the message.

Others (value, values, expression, sqlExpr, row, message, ...) may hold data, and so may the text of any message.
"""

OVERTAKEN = "another writer committed at the same time"
_WORDS = (
    (
        r"password authentication failed|[Aa]ccess denied for user|ORA-01017|Login failed for user",
        "the database refuses user or password",
    ),
    (
        r"PSQLException: Connection to|CommunicationsException|SQLNonTransientConnection",
        "the database cannot be reached",
    ),
    (
        r"PSQLException: .*relation .* does not exist",
        "the database has no such table, or its user may not see it (names with upper case: in double quotes)",
    ),
    (
        r"Bad value for type BigDecimal|DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION",
        "a number of the database does not fit the type that Spark gives its column (NaN, or more digits): read it as text, for jdbc "
        "with options: {customSchema: 'COLUMN STRING'}",
    ),
    (r"PSQLException: .*permission denied", "the database's user may not read this table"),
    (
        r"PSQLException: .*(invalid snapshot identifier|snapshot .* does not exist)",
        "the database ended the run's snapshot",
    ),
    (r"Permission denied|AccessDenied|Access Denied|AccessControlException", "access is denied"),
    (
        r"PATH_NOT_FOUND|Path does not exist|FileNotFoundException|FILE_NOT_EXIST|DELTA_PATH_DOES_NOT_EXIST",
        "there is nothing at this path",
    ),
    (r"TABLE_OR_VIEW_NOT_FOUND", "there is no such table"),
    (r"is not a Parquet file|CANNOT_READ_FILE_FOOTER|Could not read footer", "a file is no Parquet"),
    (r"UNABLE_TO_INFER_SCHEMA", "no schema can be read from the files"),
    (r"PARSE_SYNTAX_ERROR", "the SQL or schema text does not parse"),
    (r"No space left on device|File too large|Disk quota exceeded", "the disk is full"),
    (r"Read-only file system", "the file system is read-only"),
    (
        r"DELTA_CANNOT_CREATE_LOG_PATH|Mkdirs failed|mkdirs|Parent path is not a directory|Not a directory|ParentNotDirectory",
        "no directory can be made",
    ),
    (
        r"No FileSystem for scheme|UNSUPPORTED_FILE_SYSTEM|Class(NotFoundException.*| )org\.apache\.hadoop\.fs\.s3a\.S3AFileSystem",
        "no file system for this path: for S3 add hadoop-aws (docs/s3.md; for a local session: dataward jars --s3)",
    ),
    (r"CSV header does not conform|[Nn]umber of columns? in CSV", "the CSV header does not match the schema"),
    (
        r"Unescaped quote character",
        "a quoted field of the CSV holds a quote that is not doubled (RFC 4180); where a backslash escapes quotes, give the "
        "option escape: '\\'",
    ),
    (r"TextParsingException", "a record of the CSV cannot be parsed"),
    (r"UnsupportedCharset|IllegalCharsetName|INVALID_PARAMETER_VALUE\.CHARSET", "there is no encoding of this name"),
    (r"CANNOT_MERGE_SCHEMAS|CANNOT_MERGE_INCOMPATIBLE", "a column has different types in different files"),
    (r"Relative path in absolute URI", "a file's name holds a colon, which Hadoop does not read: rename the file"),
    (r"DELTA_VERSIONS_NOT_CONTIGUOUS|DELTA_TRUNCATED_TRANSACTION_LOG", "a commit file is missing from the log"),
    (r"DELTA_VERSION_NOT_FOUND|Cannot time travel", "there is no such version"),
    (
        r"DELTA_(CONCURRENT|PROTOCOL_CHANGED|METADATA_CHANGED)|Concurrent(Append|Transaction)|(Protocol|Metadata)ChangedException",
        OVERTAKEN,
    ),
    (r"DELTA_REPLACE_WHERE_MISMATCH", "rows lie outside the partition that is replaced"),
    (
        r"DELTA_FAILED_TO_MERGE_FIELDS|_LEGACY_ERROR_TEMP_DELTA_0007|schema mismatch",
        "the schema differs from the table's",
    ),
    (r"DELTA_MULTIPLE_SOURCE_ROW_MATCHING", "two rows have the same merge key"),
    (r"DELTA_NOT_NULL_CONSTRAINT_VIOLATED", "a column that must not be null would hold null"),
    (r"DELTA_VIOLATE_CONSTRAINT_WITH_VALUES|DELTA_CONSTRAINT", "a CHECK constraint of the table does not hold"),
    (r"EXCEED_CHAR_VARCHAR_LIMIT|EXCEED_LIMIT_LENGTH", "a text is longer than its column takes"),
    (
        r"UNSUPPORTED_DATA_TYPE_FOR_DATASOURCE|DELTA_(UNSUPPORTED_DATA_TYPES|GEOSPATIAL|COMPLEX_TYPE_COLUMN_CONTAINS_NULL)|STRUCT_ALL_VOID",
        "a column has a type that Delta does not keep; cast or drop it",
    ),
    (r"DELTA_UNSUPPORTED_FEATURES", "the table uses a feature that this Delta does not know"),
    (r"DELTA_INVALID_CHARACTERS_IN_COLUMN_NAME", "a column's name holds characters that need Delta's column mapping"),
    (r"DELTA_MISSING_DELTA_TABLE|DELTA_TABLE_NOT_FOUND|DELTA_SCHEMA_NOT_SET", "there is no such Delta table"),
    (r"DELTA_CANNOT_UPDATE_OTHER_FIELD|DELTA_CANNOT_CHANGE_DATA_TYPE|CANNOT_MERGE", "a type does not fit the table's"),
    (r"UNRESOLVED_COLUMN|FIELD_NOT_FOUND|UNRESOLVED_FIELD", "there is no such column"),
    (r"AMBIGUOUS_REFERENCE|AMBIGUOUS_COLUMN", "a column's name means several"),
    (r"COLUMN_ALREADY_EXISTS|DUPLICATE_COLUMN", "a column stands there twice"),
    (r"UNRESOLVED_ROUTINE", "there is no such function"),
    (r"WRONG_NUM_ARGS", "a function is given too many or too few arguments"),
    (r"DATATYPE_MISMATCH|INCOMPARABLE|INCOMPATIBLE_COLUMN_TYPE", "types do not go together"),
    (r"CAST_INVALID_INPUT|CAST_OVERFLOW|CANNOT_PARSE", "a value cannot be cast"),
    (r"ARITHMETIC_OVERFLOW|NUMERIC_VALUE_OUT_OF_RANGE", "a number is too large for its type"),
    (
        r"ArithmeticException: (integer|long) overflow",
        "a date, a time or a number lies outside of what Spark keeps (such as infinity in a database): leave it out by a view",
    ),
    (r"DIVIDE_BY_ZERO", "a number is divided by zero"),
    (
        r"PatternSyntaxException|INVALID_PARAMETER_VALUE\.PATTERN|INVALID_REGEXP",
        "a regular expression does not compile",
    ),
    (r"StackOverflowError", "the SQL is nested too deeply, or a regular expression goes too deep"),
    (r"OutOfMemoryError|Total size of serialized results", "Spark ran out of memory"),
    (r"INCONSISTENT_BEHAVIOR_CROSS_VERSION|SparkUpgradeException", "a date or time was written by another calendar"),
    (r"FAILED_READ_FILE", "a file cannot be read"),  # Spark 4 puts it above every cause
)


def from_worker(error: BaseException) -> str | None:
    """Return the message of a value that could not be protected (it holds no value); None for any other failure."""
    said = re.findall(rf"{re.escape(marked(''))}(.+)$", str(error), re.MULTILINE)
    return re.sub(r" SQLSTATE: \w{5}$", "", str(said[-1])) if said else None  # which Spark 4 appends


def marked(text: str) -> str:
    """Return the message in the form in which the JVM repeats it."""
    return f"{ProtectionError.__module__}.{ProtectionError.__name__}: {text}"


def reason(error: BaseException) -> str:
    """Return the reason of an error as text without data.

    Spark puts whole records into some messages. The result is a sentence of this module, chosen by the message and the error's class,
    with those fields that hold only names (:data:`SAFE`). Dataward's own errors hold no data and keep their message; any other error
    is named by its type.
    """
    if isinstance(error, DatawardError):
        return str(error)
    chain, kinds, classes, fields = [str(error)], [type(error).__name__], [], dict[str, str]()
    for thrown in _causes(error):
        if thrown is not error:
            chain.append(str(thrown.getMessage() or ""))
            kinds.append(str(thrown.getClass().getSimpleName()))
        class_ = _asked(thrown, "getCondition") or _asked(thrown, "getErrorClass")  # Spark 4; 3.5
        if class_ and not str(class_).startswith("_LEGACY"):
            classes.append(str(class_))
            given = _asked(thrown, "getMessageParameters")
            fields |= (
                {str(name): str(value) for name, value in dict(given).items()} if isinstance(given, Mapping) else {}
            )
    whole = " ".join((*classes, *chain, *kinds))
    if named := _named(whole):
        return named
    pattern, words = next(((pattern, words) for pattern, words in _WORDS if re.search(pattern, whole)), ("", ""))
    if not words and not classes:
        return _unknown(error, kinds)
    # For a full disk, the class only says that a task failed.
    meant = [class_ for class_ in classes if re.search(pattern, class_)]
    more = f" ({'; '.join((meant[-1], *_safe(fields)))})" if meant else ""
    return f"{words or 'Spark refused it'}{more}"


def _unknown(error: BaseException, kinds: list[str]) -> str:
    if isinstance(error, OSError) and error.strerror:  # the system's message, without the file
        return error.strerror[:1].lower() + error.strerror[1:]
    sparks = len(kinds) > 1 or type(error).__module__.partition(".")[0] in ("pyspark", "py4j")
    return f"{'Spark' if sparks else 'it'} failed with {kinds[-1]}"


def _causes(error: BaseException) -> Iterator[Any]:
    """Yield the error, and the causes that the JVM gives."""
    yield error
    java: Any = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
    while java is not None:
        yield java
        java = java.getCause()


def _asked(thrown: Any, what: str) -> Any:
    """Return an attribute of an error; None where it has none."""
    try:
        return getattr(thrown, what)()
    except Exception:  # py4j raises its own error for a missing method
        return None


def _safe(fields: Mapping[str, str]) -> Iterator[str]:
    for word, names in SAFE.items():
        found = [_shown(word, fields[name]) for name in names if fields.get(name)]
        if found:
            yield f"{word} {', '.join(dict.fromkeys(found))}"


def _shown(word: str, value: str) -> str:
    """Return a name; paths are cut below a partition's directory, whose name is a value."""
    plain = value.replace("`", "").strip('"')
    if word == "path":
        plain = re.sub(r"/[^/=]+=.*", "/...", plain)
    return plain if len(plain) <= 200 else f"{plain[:200]}..."


MISMATCH = r"Column: \[(.+?)\], Expected: (\S+), Found: (\w+)"
MISMATCH_4 = r"Parquet column \[(.+?)\]\. Expected Spark type (\S+), actual Parquet type (\w+)"
"""Spark's sentence about a Parquet file with another type; Spark 4's."""


def _named(whole: str) -> str | None:
    """Return the problem with its column or file, where Spark's sentence holds no other data."""
    file = re.search(r"(?:CSV file: |(?:in|reading) file )\S*?([^/\s]+?)\.?(?:\s|$)", whole)
    where = f" ({file.group(1)})" if file else ""
    if found := re.search(r"CSV header does not conform.*?Expected: (.+?) but found", whole, re.DOTALL):
        return f"the CSV header does not match the schema: another name stands where '{found.group(1)}' should{where}"
    if found := re.search(r"Number of column in CSV header.*?length: (\d+), schema size: (\d+)", whole, re.DOTALL):
        return f"the CSV header does not match the schema: it has {found.group(1)} names, not {found.group(2)}{where}"
    if found := re.search(r"COLUMN_ALREADY_EXISTS\] The column (`.+?`) already exists", whole):
        return f"the name {found.group(1)} occurs twice (Spark does not look at case): rename one"
    if found := re.search(rf"{MISMATCH}|{MISMATCH_4}", whole):
        column, wanted, actual = filter(None, found.groups())
        return f"column '{column}' is {wanted} in one file and {actual} in another{where}"
    if found := re.search(r"to version (\d+)\. Available versions: \[(\d+), (\d+)\]", whole):
        return f"there is no such version ({found.group(1)}; there are {found.group(2)} to {found.group(3)})"
    return None
