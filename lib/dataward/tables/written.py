"""What one commit did to a table's files: those that it added, by the SHA-256 of their bytes, and those that it removed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dataward.contract import Location
from dataward.errors import TargetError
from dataward.spark.hmac import sha256_of_files
from dataward.tables import delta, log
from dataward.tables.deltalog.actions import Added, located
from dataward.tables.deltalog.log import LOG, CommitFile, commit_of
from dataward.tables.maintenance import read_bytes
from dataward.tables.reason import reason

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["DataFile", "DeletionVector", "Written", "added_files", "commit_at", "hashes", "rows_added", "rows_removed"]


@dataclass(frozen=True)
class DeletionVector:
    """The deleted rows of a data file.

    Attributes:
        identity: its name in Delta's protocol.
        path: its file, as in :class:`DataFile`; None where the log itself holds it.
        rows: number of deleted rows.
        sha256: SHA-256 (hex) of the bytes of its whole file; None where the log itself holds it.
    """

    identity: str
    path: str | None
    rows: int
    sha256: str | None


@dataclass(frozen=True)
class DataFile:
    """A data file that a commit added.

    Attributes:
        path: path inside of the table's folder, decoded; absolute where the file lies elsewhere (a shallow clone).
        size: bytes, as the commit has it.
        sha256: SHA-256 (hex) of its bytes; None for a file that the version before had as well, of which the commit changed the
            deletion vector: its hash was taken when it was new, and a new one would vouch for bytes changed since.
        rows: number of rows, those of the deletion vector included; None where the commit does not say it.
        deletion_vector: its deleted rows.
    """

    path: str
    size: int
    sha256: str | None
    rows: int | None = None
    deletion_vector: DeletionVector | None = None


@dataclass(frozen=True)
class Written:
    """Files that a commit added and removed.

    A file whose deletion vector changed is in both. ``removed`` are paths as in :class:`DataFile`.
    """

    added: tuple[DataFile, ...]
    removed: tuple[str, ...]


def added_files(spark: SparkSession, place: Location, version: int) -> Written:
    """List the files that a commit added and removed, and hash the new ones where they lie.

    Small files are hashed by the driver, without a Spark job; others are streamed through executors, never held whole.

    Args:
        spark: the session.
        place: the table.
        version: the commit's version.

    Raises:
        TargetError: the commit, or a file that it added, cannot be read.
    """
    root = delta.location(spark, place)
    commit = commit_at(spark, place, root, version)
    removed = tuple(one.path for one in commit.removed)
    sizes = {one.path: one.size for one in commit.added if one.path not in removed}
    sizes |= {one.vector.path: one.vector.size for one in commit.added if one.vector and one.vector.path}
    found = hashes(spark, place, root, sizes)
    return Written(tuple(_hashed(one, found, removed) for one in commit.added), removed)


def commit_at(spark: SparkSession, place: Location, root: str, version: int) -> CommitFile:
    """Read a commit of the table's log, by whatever file system Spark has for it.

    Raises:
        TargetError: it is gone, or is no commit.
    """
    name = f"{version:020d}.json"
    try:
        return commit_of(version, read_bytes(spark, f"{root.rstrip('/')}/{LOG}/{name}"))
    except Exception as error:
        raise TargetError(f"{place}: commit {name} of its log cannot be read ({reason(error)})") from None


def hashes(spark: SparkSession, place: Location, root: str, sizes: Mapping[str, int]) -> dict[str, str]:
    """Return the SHA-256 (hex) of files of a table.

    Args:
        spark: the session.
        place: the table, for messages.
        root: its folder.
        sizes: size in bytes by path inside of the folder (or absolute).

    Raises:
        TargetError: a file cannot be read.
    """
    full = {path: _full(root, path) for path in sizes}
    try:
        found = sha256_of_files(spark, {full[path]: size for path, size in sizes.items()})
    except Exception as error:
        raise TargetError(f"{place}: a data file cannot be read ({reason(error)})") from None
    return {path: found[full[path]] for path in sizes}


def _full(root: str, path: str) -> str:
    return path if path.startswith("/") or urlsplit(path).scheme else f"{root.rstrip('/')}/{path}"


def _hashed(one: Added, found: Mapping[str, str], removed: tuple[str, ...]) -> DataFile:
    vector = None
    if one.vector:
        path = one.vector.path
        vector = DeletionVector(one.vector.identity, path, one.vector.cardinality, found[path] if path else None)
    rows = json.loads(one.statistics or "{}").get("numRecords")
    return DataFile(one.path, one.size, None if one.path in removed else found[one.path], rows, vector)


def rows_added(spark: SparkSession, place: Location, version: int) -> DataFrame:
    """Return the rows of the data files that a commit added, as they lie there now.

    Raises:
        TargetError: the commit cannot be read, or this platform's Delta does not open single files.
    """
    commit = commit_at(spark, place, delta.location(spark, place), version)
    return _rows_of(spark, place, version, [one.path for one in commit.added])


def rows_removed(spark: SparkSession, place: Location, version: int) -> DataFrame:
    """Return the rows of the data files that a commit removed, as the version before shows them.

    Raises:
        TargetError: see :func:`rows_added`.
    """
    commit = commit_at(spark, place, delta.location(spark, place), version)
    return _rows_of(spark, place, version - 1, [one.path for one in commit.removed])


def _rows_of(spark: SparkSession, place: Location, version: int, paths: list[str]) -> DataFrame:
    """Return the rows of some files of a version, without those that it shows as deleted."""
    from pyspark.sql import DataFrame

    if not paths:
        return delta.read(spark, place, max(version, 0)).limit(0)
    wanted = set(paths)
    try:
        snapshot = log.snapshot(spark, place, version)
        jvm: Any = spark.sparkContext._jvm
        chosen = jvm.java.util.ArrayList()
        for one in snapshot.allFiles().collectAsList():
            if located(str(one.path())) in wanted:
                chosen.add(one)
        files = jvm.scala.collection.JavaConverters.asScalaBuffer(chosen).toSeq()
        nothing = getattr(jvm.scala, "Option").apply(None)  # noqa: B009 - a name that Python keeps for itself
        found = DataFrame(snapshot.deltaLog().createDataFrame(snapshot, files, False, nothing), spark)
    except Exception as error:
        raise TargetError(f"{place}: files of version {version} cannot be read ({reason(error)})") from None
    if chosen.size() != len(wanted):
        raise TargetError(f"{place}: version {version} does not have every file that the commit after it names")
    return found
