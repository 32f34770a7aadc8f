"""Why Spark failed, told without data."""

from __future__ import annotations

import re
from typing import Any

from dataward.errors import ProtectionError

__all__ = ["from_jvm", "from_worker", "reason"]


def from_worker(error: BaseException) -> str | None:
    """What was said when a value could not be protected (it names no value); None for any other failure."""
    said = re.findall(rf"{re.escape(from_jvm(''))}(.+)$", str(error), re.MULTILINE)
    return str(said[-1]) if said else None


def from_jvm(told: str) -> str:
    """The same as a message of the JVM's."""
    return f"{ProtectionError.__module__}.{ProtectionError.__name__}: {told}"


def reason(error: BaseException) -> str:
    """What went wrong, in words that hold no data.

    Spark puts whole records into some messages; only its error class and the sentences known to be about names and
    paths get through, everything else is named by its type.
    """
    chain, kinds = [str(error)], [type(error).__name__]
    java: Any = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
    while java is not None:
        chain.append(str(java.getMessage() or ""))
        kinds.append(str(java.getClass().getSimpleName()))
        java = java.getCause()
    whole = " ".join(chain)
    known = (
        (r"PATH_NOT_FOUND|Path does not exist|FileNotFoundException", "there is nothing at this path"),
        (r"TABLE_OR_VIEW_NOT_FOUND", "there is no such table"),
        (
            r"is not a Parquet file|CANNOT_READ_FILE_FOOTER|Could not read footer|FAILED_READ_FILE",
            "a file is no Parquet",
        ),
        (r"UNABLE_TO_INFER_SCHEMA", "no schema can be read from the files"),
        (r"PARSE_SYNTAX_ERROR", "the SQL or schema text does not parse"),
        (r"No space left on device|File too large|Disk quota exceeded", "the disk is full"),
        (r"Permission denied|AccessDenied|Access Denied|AccessControlException", "access is denied"),
        (r"Read-only file system", "the file system is read-only"),
        (
            r"DELTA_CANNOT_CREATE_LOG_PATH|Mkdirs failed|mkdirs|Parent path is not a directory|Not a directory|ParentNotDirectory",
            "no directory can be made",
        ),
        (
            r"No FileSystem for scheme|ClassNotFoundException.*S3AFileSystem",
            "no file system for this path: add hadoop-aws",
        ),
        (r"CSV header does not conform|number of columns in CSV", "the CSV header does not match the schema"),
        (r"DELTA_VERSIONS_NOT_CONTIGUOUS|DELTA_TRUNCATED_TRANSACTION_LOG", "a commit file is missing from the log"),
        (r"DELTA_VERSION_NOT_FOUND|Cannot time travel", "there is no such version"),
        (r"DELTA_CONCURRENT|ConcurrentAppend|ConcurrentTransaction", "another writer committed at the same time"),
        (r"DELTA_REPLACE_WHERE_MISMATCH", "rows lie outside the partition that is replaced"),
        (
            r"DELTA_FAILED_TO_MERGE_FIELDS|_LEGACY_ERROR_TEMP_DELTA_0007|schema mismatch",
            "the schema differs from the table's",
        ),
        (r"DELTA_MULTIPLE_SOURCE_ROW_MATCHING", "two rows have the same merge key"),
    )
    for pattern, words in known:
        if re.search(pattern, whole):
            return words
    named = getattr(error, "getErrorClass", lambda: None)()
    return f"Spark failed with {named or kinds[-1]}"
