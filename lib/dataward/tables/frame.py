"""A caller's DataFrame as rows that every pass of a run reads alike: it is evaluated once."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.contract import Source
from dataward.contract.reserved import MALFORMED
from dataward.errors import SourceError
from dataward.tables.reason import reason

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Evaluated", "evaluated"]


@dataclass(frozen=True)
class Evaluated:
    """Rows of a frame that was evaluated once.

    Attributes:
        frame: reads the kept rows, in the run's own session.
        size: bytes of the kept rows.
        release: removes the kept rows.
    """

    frame: DataFrame
    size: int
    release: Callable[[], Any]


def evaluated(spark: SparkSession, given: DataFrame, source: Source) -> Evaluated:
    """Evaluate a frame by one Spark job and keep its rows in the executors' memory and on their disks (a local checkpoint).

    A second evaluation could give other rows (``rand()``, a changed file, a UDF), so Spark fails the run where an executor is
    lost with its rows.

    Args:
        spark: the run's session.
        given: the caller's frame.
        source: the contract's source, for messages.

    Raises:
        SourceError: it is a stream, has a column with a reserved name or a type that Delta does not keep, or fails.
    """
    if trouble := _trouble(given):
        raise SourceError(f"source {source}: {trouble}")
    try:
        return _checkpointed(spark, given)
    except Exception as error:
        raise SourceError(f"source {source}: it could not be evaluated: {reason(error)}") from None


def _checkpointed(spark: SparkSession, given: DataFrame) -> Evaluated:
    from pyspark.sql import DataFrame

    session: Any = spark._jsparkSession
    kept: Any = given._jdf.localCheckpoint(True)
    rows = kept.queryExecution().logical().rdd()
    frame = DataFrame(session.internalCreateDataFrame(rows, kept.schema(), False), spark)
    listed = session.sparkContext().getRDDStorageInfo()
    size = sum(one.memSize() + one.diskSize() for one in listed if one.id() == rows.id())
    return Evaluated(frame, size, lambda: rows.unpersist(False))


UNKEPT = re.compile(r"^(interval|void|time\b|geo)|collate ")
"""Types that Delta does not keep, as Spark writes them; PySpark has classes for those of its own version only."""


def _unkept(kind: Any) -> bool:
    """Return whether Delta does not keep a type, or a type within it."""
    nested = [getattr(kind, part) for part in ("elementType", "keyType", "valueType") if hasattr(kind, part)]
    nested += [field.dataType for field in getattr(kind, "fields", ())]
    return any(map(_unkept, nested)) or (not nested and UNKEPT.search(kind.simpleString()) is not None)


def _trouble(given: DataFrame) -> str:
    """Return why a frame cannot be published; empty where nothing is known."""
    if given.isStreaming:
        return "it is a stream; publish the rows of a stream with 'dataward publish --stream'"
    try:
        fields = given.schema.fields
    except Exception:  # PySpark has no class for some types
        return "it has a column of a type that Delta does not keep, such as an interval; cast or drop it"
    if not fields:
        return "it has no columns; select some"
    names = [field.name.lower() for field in fields]
    if MALFORMED in names:
        return f"it has a column '{MALFORMED}', a name that Dataward uses; rename it"
    if twice := [name for name in names if names.count(name) > 1]:
        return f"two of its columns are named '{twice[0]}', which Spark does not tell apart; rename one"
    if found := [field for field in fields if _unkept(field.dataType)]:
        return f"its column '{found[0].name}' is of type {found[0].dataType.simpleString()}, which Delta does not keep; cast or drop it"
    return ""
