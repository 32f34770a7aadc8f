"""Read the rows of the data files that one commit added or removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dataward.contract import Location
from dataward.errors import TargetError
from dataward.spark.kind import is_remote
from dataward.spark.sql import column, literal
from dataward.tables import delta, log
from dataward.tables.deltalog.actions import located
from dataward.tables.deltalog.log import LOG, CommitFile, commit_of
from dataward.tables.maintenance import read_bytes
from dataward.tables.reason import reason

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["rows_added", "rows_removed"]


def rows_added(spark: SparkSession, place: Location, version: int) -> DataFrame:
    """Return the rows of the data files that a commit added, from the present files.

    Raises:
        TargetError: the commit cannot be read, or this platform's Delta does not open single files.
    """
    commit = _commit_at(spark, place, delta.location(spark, place), version)
    return _rows_of(spark, place, version, [one.path for one in commit.added])


def rows_removed(spark: SparkSession, place: Location, version: int) -> DataFrame:
    """Return the rows of the data files that a commit removed, as in the version before.

    Raises:
        TargetError: see :func:`rows_added`.
    """
    commit = _commit_at(spark, place, delta.location(spark, place), version)
    return _rows_of(spark, place, version - 1, [one.path for one in commit.removed])


def _rows_of(spark: SparkSession, place: Location, version: int, paths: list[str]) -> DataFrame:
    """Return the rows of some files of a version, without its deleted rows."""
    from pyspark.sql import DataFrame

    if not paths:
        return delta.read(spark, place, max(version, 0)).limit(0)
    wanted = set(paths)
    if is_remote(spark):
        return _by_name(spark, place, version, paths)
    try:
        state = log.snapshot(spark, place, version)
        jvm: Any = spark.sparkContext._jvm
        chosen = jvm.java.util.ArrayList()
        names = ", ".join(sorted({literal(path.rsplit("/", 1)[-1]) for path in paths}))
        for one in state.allFiles().filter(f"substring_index(path, '/', -1) in ({names})").collectAsList():
            if located(str(one.path())) in wanted:
                chosen.add(one)
        files = jvm.scala.collection.JavaConverters.asScalaBuffer(chosen).toSeq()
        nothing = getattr(jvm.scala, "Option").apply(None)  # noqa: B009 - a name that Python keeps for itself
        found = DataFrame(state.deltaLog().createDataFrame(state, files, False, nothing), spark)
    except Exception as error:
        raise TargetError(f"{place}: files of version {version} cannot be read ({reason(error)})") from None
    if chosen.size() != len(wanted):
        raise TargetError(f"{place}: version {version} does not have every file that the commit after it names")
    return found


def _by_name(spark: SparkSession, place: Location, version: int, paths: list[str]) -> DataFrame:
    """Return the rows of some files through Spark Connect, which opens all files of the version; each must have a name of its own."""
    from pyspark.sql import functions as F

    names = {path.rsplit("/", 1)[-1] for path in paths}
    if len(names) != len(set(paths)):
        raise TargetError(
            f"{place}: two files of version {version} have one name, so that Spark Connect cannot read one of them"
        )
    found = delta.read(spark, place, version)
    of_files = F.col("_metadata.file_name").isin(*sorted(names))
    return found.where(of_files).select(*(column(name) for name in found.columns))


def _commit_at(spark: SparkSession, place: Location, root: str, version: int) -> CommitFile:
    """Read a commit of the table's log, through Spark's file system for it.

    Raises:
        TargetError: the commit is missing, or is malformed.
    """
    name = f"{version:020d}.json"
    try:
        return commit_of(version, read_bytes(spark, f"{root.rstrip('/')}/{LOG}/{name}"))
    except Exception as error:
        raise TargetError(f"{place}: commit {name} of its log cannot be read ({reason(error)})") from None
