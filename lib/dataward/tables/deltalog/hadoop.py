"""Read folders through Spark's file systems, where no other library supports them (HDFS, DBFS)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dataward.contract import Location
from dataward.errors import SourceError
from dataward.spark.kind import is_remote
from dataward.spark.settings import FORMAT_CHECK, refuses
from dataward.tables import delta
from dataward.tables.deltalog.folder import Folder, Missing, folder
from dataward.tables.deltalog.log import LOG
from dataward.tables.files import on_system
from dataward.tables.maintenance import read_bytes
from dataward.tables.reason import reason
from dataward.tables.through import SparkFolder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["HadoopFolder", "hashes_files", "reads_commit", "table_folder"]


def table_folder(spark: SparkSession, place: Location) -> Folder:
    """Return the folder of a table: on this machine, or through Spark, whose settings contain endpoints and credentials."""
    root = delta.location(spark, place)
    if is_remote(spark):
        return _seen(spark, root)
    if root.startswith(("/", "file:")):
        return folder(root)
    return HadoopFolder(spark, root.rstrip("/"))


def reads_commit(spark: SparkSession, place: Location, version: int) -> bool:
    """Return whether a commit is in the log, by its path: not where a catalog keeps commits aside, or its storage has no paths."""
    try:
        table_folder(spark, place).read(f"{LOG}/{version:020d}.json")
    except Missing:
        return False
    return True


def hashes_files(spark: SparkSession, root: str) -> bool:
    """Return whether the files of a table are read: by the server, unless it reads no single files (Databricks serverless), or here."""
    if not refuses(spark, FORMAT_CHECK):
        return True
    with suppress(Exception):  # no store for the scheme, no credentials
        folder(root).names()
        return True
    return False


def _seen(spark: SparkSession, root: str) -> Folder:
    """Return a table's folder: as this process sees it, or else through the server of Spark Connect."""
    with suppress(Exception):  # no store for the scheme, no credentials
        near = folder(root)
        if near.names(LOG):
            return near
    return SparkFolder(spark, root)


class HadoopFolder:
    """A folder on one of Spark's file systems."""

    def __init__(self, spark: SparkSession, root: str) -> None:
        """Keep the session and the folder."""
        self._spark, self._root = spark, root

    def __str__(self) -> str:
        """Return the folder's URL."""
        return self._root

    def names(self, below: str = "") -> dict[str, int]:
        """Return the files directly in a folder below, with their sizes in bytes."""
        system, place = on_system(self._spark, f"{self._root}/{below}".rstrip("/"))
        try:
            found: list[Any] = list(system.listStatus(place))
        except Exception as error:
            if "FileNotFound" in str(error):
                return {}
            raise SourceError(f"{self._root}/{below}: the folder cannot be listed") from None
        return {str(one.getPath().getName()): int(one.getLen()) for one in found if one.isFile()}

    def read(self, path: str) -> bytes:
        """Return a file's bytes; raises Missing.

        Raises:
            SourceError: the storage did not answer, or refused access; the file may well be there.
        """
        try:
            return read_bytes(self._spark, f"{self._root}/{path}")
        except Exception as error:
            if "FileNotFound" in str(error):
                raise Missing(path) from None
            raise SourceError(f"{self._root}/{path}: the file cannot be read: {reason(error)}. Try again") from None

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield a file's bytes in order; raises Missing."""
        yield self.read(path)
