"""Files through Spark's DataFrame API, for Spark Connect: what the server sees, without its JVM.

Spark lists no name that begins with ``_`` or a dot, unless a path names it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dataward.tables.deltalog.folder import Missing

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["SparkFolder", "exists", "names_below", "read", "sha256"]

LITERAL = ("__globPaths__", "false")
NONE = ("PATH_NOT_FOUND", "FileNotFoundException", "does not exist", "No such file")


def _files(spark: SparkSession, path: str) -> Any:
    return spark.read.format("binaryFile").option("recursiveFileLookup", "true").option(*LITERAL).load(path)


def _is_missing(error: Exception) -> bool:
    return any(word in str(error) for word in NONE)


def exists(spark: SparkSession, path: str) -> bool:
    """Return whether a file or folder exists on the server; no job runs."""
    from pyspark.errors import AnalysisException

    try:
        return bool(_files(spark, path).columns)
    except AnalysisException as error:
        if "DELTA_INVALID_FORMAT" in str(error):  # Databricks: it is of a Delta table
            return True
        if _is_missing(error):
            return False
        raise


def names_below(spark: SparkSession, path: str) -> dict[str, int]:
    """Return the files in a folder and below (or the file itself, as an empty name), with their sizes in bytes."""
    try:
        rows = _files(spark, path).select("path", "length").collect()
    except Exception as error:
        if _is_missing(error):
            return {}
        raise
    root = _plain(path)
    return {_plain(row[0]).removeprefix(root).strip("/"): int(row[1]) for row in rows}


def _plain(path: str) -> str:
    """Return a path without ``file:`` and repeated slashes after the scheme."""
    scheme, colon, rest = path.partition(":")
    if not colon or "/" in scheme:
        scheme, rest = "", path
    return ("" if scheme in ("", "file") else f"{scheme}:") + "/" + rest.strip("/")


def read(spark: SparkSession, path: str) -> bytes:
    """Return the bytes of a file; raises Missing."""
    try:
        row = _files(spark, path).select("content").first()
    except Exception as error:
        if _is_missing(error):
            raise Missing(path) from None
        raise
    if row is None:
        raise Missing(path)
    return bytes(row[0])


def sha256(spark: SparkSession, path: str) -> str | None:
    """Return the SHA-256 (hex) of a file; None where there is none."""
    from pyspark.sql import functions as F

    try:
        row = _files(spark, path).select(F.sha2("content", 256)).first()
    except Exception as error:
        if _is_missing(error):
            return None
        raise
    return str(row[0]) if row else None


class SparkFolder:
    """A folder that only the server reaches."""

    def __init__(self, spark: SparkSession, root: str) -> None:
        """Keep the session and the folder."""
        self._spark, self._root = spark, root.rstrip("/")

    def __str__(self) -> str:
        """Return the folder's path."""
        return self._root

    def names(self, below: str = "") -> dict[str, int]:
        """Return the files directly in a folder below, with their sizes in bytes."""
        found = names_below(self._spark, f"{self._root}/{below}".rstrip("/"))
        return {name: size for name, size in found.items() if name and "/" not in name}

    def read(self, path: str) -> bytes:
        """Return a file's bytes; raises Missing."""
        return read(self._spark, f"{self._root}/{path}")

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield a file's bytes; raises Missing."""
        yield self.read(path)
