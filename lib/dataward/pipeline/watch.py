"""Sum the rows of a run while they are written, before they reach a file."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from dataward.errors import TargetError
from dataward.integrity.digest import Sum, described, sum_of, summed
from dataward.pipeline.content import Change, Sealing
from dataward.spark.held import persisted
from dataward.spark.hmac import Observing
from dataward.spark.kind import is_remote
from dataward.spark.settings import setting
from dataward.spark.sql import column
from dataward.tables.commits import Meeting
from dataward.tables.delta import Commit
from dataward.tables.written import rows_removed

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession
    from pyspark.sql.types import StructField, StructType

__all__ = ["Watch"]

NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


class Watch:
    """Sum a run's rows while they are written."""

    def __init__(self, spark: SparkSession, secret: bytes, first: bool = True, repeatable: bool = True) -> None:
        """Create the watch for one commit of a session.

        Args:
            spark: the session.
            secret: the key of the digest.
            first: whether no earlier attempt may have written the rows; otherwise they are computed again, not read from the table.
            repeatable: whether rows that are computed again are the same; otherwise only the rows in the table are certain.
        """
        self._spark, self._secret, self._first, self._repeatable = spark, secret, first, repeatable
        self._observing = Observing()
        self._meeting: Meeting | None = None
        self._source: DataFrame | None = None
        self._added: Sum | None = None

    def __enter__(self) -> Watch:
        """Start to observe the session's writes."""
        self._observing.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop observing, and unpersist cached rows."""
        self._observing.__exit__()
        if self._source is not None:
            self._source.unpersist()

    def through(self, frame: DataFrame, meeting: Meeting) -> DataFrame:
        """Return the frame to write instead of this one; called by the commit, with what the commit knows about the write."""
        self._meeting = meeting
        if meeting.schema is None or _truncates(self._spark, meeting.schema):
            return frame
        if not self._first and not self._repeatable:
            return frame
        if meeting.keys is None and self._first and not is_remote(self._spark):
            columns = _as_read(frame, meeting)
            return self._observing.through(frame, columns, meeting.schema, self._secret)  # type: ignore[no-any-return]
        if meeting.keys is not None:
            if len(frame.columns) < len(meeting.schema.fields):
                return frame  # matched rows keep the old values of the other columns
            self._observing.merge(frame)
        # A merge reads its source twice, so that its passes cannot be observed; a rerun does not write; Spark Connect observes none.
        self._source = persisted(frame)
        if self._source is None:
            return frame
        named = zip(_as_read(frame, meeting), meeting.schema.fields, strict=True)
        self._added = summed(self._source.select(*(one.alias(field.name) for one, field in named)), self._secret)
        return self._source

    def change(self, sealing: Sealing, commit: Commit) -> Change:
        """Return what the commit did. If its number of rows differs from that of the rows watched, the rows are read back."""
        meeting = self._meeting
        assert meeting is not None  # noqa: S101 - the commit called `through`
        if meeting.keys is None and self._source is None and (seen := self._observing.result()) is not None:
            self._added = sum_of(bytes(seen))
        rows, updated = self._numbers(meeting, commit)
        added = self._added if self._added is not None and self._added.rows == rows else None
        if (
            added is not None
            and meeting.schema
            and described(sealing.read(commit.version).schema) != described(meeting.schema)
        ):
            added = None
        if meeting.whole or commit.version == 0:
            return Change(whole=True, added=added)
        removed = None
        with suppress(Exception):  # the files that the commit removed are read instead
            removed = self._removed(sealing, commit, meeting, updated) if added is not None else None
        return Change(added=added, removed=removed)

    def _numbers(self, meeting: Meeting, commit: Commit) -> tuple[int, int]:
        """Return the written and the updated rows: of a merge as Spark counted them, since anybody may have edited the commit meanwhile."""
        counted = self._observing.merged() if meeting.keys is not None and self._first else None
        if counted is not None:
            return sum(counted), counted[1]
        return commit.rows, commit.merged.get("updated", 0)

    def _removed(self, sealing: Sealing, commit: Commit, meeting: Meeting, updated: int) -> Sum | None:
        """Sum the removed rows, by the condition of the run and not by the removed files in the log."""
        if meeting.keys is None and meeting.where is None:
            return Sum()
        if meeting.where is not None:
            return summed(sealing.read(commit.version - 1).where(meeting.where), self._secret)
        if not updated or self._source is None:
            return Sum()
        source, keys = self._source.alias("s"), _expression(meeting.keys)
        with suppress(TargetError):  # the log names other files than those of the version before
            old = rows_removed(sealing.spark, sealing.contract.target, commit.version)
            removed = summed(old.alias("t").join(source, keys, "leftsemi"), self._secret)
            if removed.rows == updated:
                return removed
        # The log does not name every file that the merge replaced: somebody edited it. All rows before the merge are read.
        removed = summed(sealing.read(commit.version - 1).alias("t").join(source, keys, "leftsemi"), self._secret)
        return removed if removed.rows == updated else None


def _expression(sql: str | None) -> Column:
    from pyspark.sql import functions as F

    return F.expr(sql or "false")


def _truncates(spark: SparkSession, schema: StructType) -> bool:
    """Return whether timestamps lose their microseconds in files."""
    kind = setting(spark, "spark.sql.parquet.outputTimestampType", "INT96")
    return kind == "TIMESTAMP_MILLIS" and "timestamp" in schema.json()


def _as_read(frame: DataFrame, meeting: Meeting) -> list[Column]:
    """Return the columns of the committed schema as readers see them: empty text in a partition column and missing columns are null."""
    from pyspark.sql import functions as F

    assert meeting.schema is not None  # noqa: S101 - the caller asked
    here = {name.lower(): name for name in frame.columns}
    partitions = {name.lower() for name in meeting.partition_by}

    def one(field: StructField) -> Column:
        name = here.get(field.name.lower())
        if name is None:
            return F.lit(None).cast(field.dataType)
        if field.name.lower() in partitions and field.dataType.simpleString() == "string":
            return F.when(~column(name).isin("", NO_VALUE), column(name))
        return column(name)

    return [one(field) for field in meeting.schema.fields]
