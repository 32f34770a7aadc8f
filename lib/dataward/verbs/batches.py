"""Batches of a stream that this process bounds, for Spark Connect: its server would run ``foreachBatch`` in a Python of its own.

The checkpoint has one file per batch, written before the batch runs and never changed: its files, or its versions of a Delta table.
A batch that is not done is repeated with the same rows, under the same run ID, so that each is in the target exactly once.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from dataward.contract import Source
from dataward.errors import SourceChanged, SourceError, UsageError
from dataward.integrity.canonical import sha256
from dataward.pipeline.context import Asked, Progress
from dataward.pipeline.intake.batch import MicroBatch
from dataward.pipeline.plan import Plan
from dataward.pipeline.publish import reported
from dataward.report import RunResult
from dataward.tables import delta, written
from dataward.tables.deltalog.hadoop import table_folder
from dataward.tables.deltalog.log import CommitFile, read_commit
from dataward.tables.reason import reason
from dataward.tables.source import Pin, manifest, newest, of_files
from dataward.tables.store import Store, store_at

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["FixedBatch", "bounded", "commits_to_read", "demand_plain"]

FOLDER = "batches"
FIRST = "startingversion"
"""Option of a Delta table: the version that the first batch begins with, as a number."""
OTHERS = {
    one.lower(): one
    for one in (
        "allowSourceColumnDrop", "allowSourceColumnRename", "allowSourceColumnTypeChange", "cleanSource", "excludeRegex", "fileNameOnly",
        "ignoreChanges", "ignoreDeletes", "latestFirst", "maxFileAge", "readChangeData", "readChangeFeed", "schemaLocation",
        "schemaTrackingLocation", "skipChangeCommits", "sourceArchiveDir", "startingTimestamp",
    )
}  # fmt: skip
"""Options of Structured Streaming that choose other rows, by their lower case; those of a batch's size have no effect."""
KINDS = ("delta", "csv", "json", "parquet", "orc", "avro")


@dataclass(frozen=True)
class FixedBatch(Pin):
    """A micro-batch between fixed offsets of the checkpoint."""

    def changed(self, spark: SparkSession) -> bool:
        """Return that its rows stay as they are."""
        return False


@dataclass(frozen=True)
class _Bounds:
    """What a batch reads, as its file of the checkpoint has it.

    Attributes:
        stream: ID of the stream.
        source: the source, as text.
        files: (path, bytes, modification time) of each file; none for a Delta table.
        since: version that the batch before ended with; None: the batch is the whole of ``version``.
        version: version of a Delta table that the batch ends with.
    """

    stream: str
    source: str
    files: tuple[tuple[str, int, str], ...] = ()
    since: int | None = None
    version: int | None = None


def bounded(
    spark: SparkSession, plan: Plan, checkpoint: str, report_folder: str, progress: Progress
) -> Iterator[RunResult]:
    """Yield the results of the batch that is under way in a checkpoint, if one is, and of a batch with all that arrived since.

    Raises:
        UsageError: the source cannot be read in bounded batches, or the checkpoint is another stream's.
        SourceError: an earlier row was changed or removed, or a commit is missing.
    """
    source, store = plan.contract.source, store_at(checkpoint)
    demand_plain(source)
    batches = _batches(store, source)
    if batches and not store.exists(_done(len(batches) - 1)):
        yield from _published(spark, plan, store, batches, (report_folder, progress))
    if (following := _arrived(spark, source, batches)) is not None:
        if not store.create(_name(len(batches)), json.dumps(following.__dict__).encode()):
            raise UsageError(
                f"{checkpoint}: another process publishes this stream at present; start it again afterwards"
            )
        yield from _published(spark, plan, store, [*batches, following], (report_folder, progress))


def demand_plain(source: Source) -> None:
    """Check that a source can be read in bounded batches.

    Raises:
        UsageError: it cannot, or has an option that only Structured Streaming follows.
    """
    if source.format not in KINDS or (source.format != "delta" and source.path is None):
        raise UsageError(
            f"source {source}: through Spark Connect a stream reads Delta tables and folders of files; use a classic session"
        )
    of_files = FIRST in source.reader_options and source.format != "delta"
    if found := [OTHERS[one] for one in source.reader_options if one in OTHERS] or ["startingVersion"] * of_files:
        raise UsageError(
            f"source {source}: through Spark Connect a stream does not follow the option {found[0]}: remove it, or use a classic session"
        )
    first = source.reader_options.get(FIRST)
    if first is not None and not str(first).isdigit():
        raise UsageError(f"source {source}: through Spark Connect startingVersion is a number, not '{first}'")


def _name(number: int) -> str:
    return f"{FOLDER}/{number:08d}.json"


def _done(number: int) -> str:
    return f"{FOLDER}/{number:08d}.done"


def _batches(store: Store, source: Source) -> list[_Bounds]:
    """Return the batches of a checkpoint, in order."""
    names = store.names("")
    if any(name.split("/")[0] in ("offsets", "commits", "metadata") for name in names):
        raise UsageError(f"{store}: this checkpoint is Structured Streaming's; name a folder of its own")
    made = [name for name in names if name.startswith(f"{FOLDER}/") and name.endswith(".json")]
    found = [json.loads(store.read(name) or b"") for name in made]
    batches = [_Bounds(**{**one, "files": tuple(map(tuple, one["files"]))}) for one in found]
    if batches and batches[-1].source != str(source):
        raise UsageError(f"{store}: this checkpoint is of {batches[-1].source}, not of {source}; name another folder")
    return batches


def _arrived(spark: SparkSession, source: Source, batches: Sequence[_Bounds]) -> _Bounds | None:
    """Return the bounds of a batch with all that arrived after some batches; None where nothing did."""
    stream = batches[0].stream if batches else str(uuid.uuid4())
    if source.format != "delta":
        seen = {path for batch in batches for path, _, _ in batch.files}
        files = tuple(one for one in manifest(spark, source) if one[0] not in seen)
        return _Bounds(stream, str(source), files) if files else None
    present = newest(spark, source)
    first = source.reader_options.get(FIRST)
    since = batches[-1].version if batches else None if first is None else int(first) - 1
    if since is not None and not commits_to_read(str(source), _commits(spark, source, since, present.version)):
        return None
    return _Bounds(stream, str(source), (), since, present.version)


def _commits(spark: SparkSession, source: Source, since: int, version: int) -> list[CommitFile]:
    table = table_folder(spark, source)
    try:
        return [read_commit(table, one) for one in range(since + 1, version + 1)]
    except Exception as error:
        raise SourceError(
            f"source {source}: its log lacks versions after {since} ({reason(error)}). Start the stream with another checkpoint"
        ) from None


def commits_to_read(source: str, commits: Sequence[CommitFile]) -> list[int]:
    """Return the versions of the commits that added rows.

    Raises:
        SourceError: a commit changed or removed rows, which a stream cannot take back.
    """
    for commit in commits:
        if any(one.data_change for one in commit.removed):
            raise SourceError(
                f"source {source}: version {commit.version} ({commit.info.operation}) changed or removed rows, and a stream only adds "
                "rows. Publish the table in mode overwrite, and start the stream with another checkpoint"
            )
    return [one.version for one in commits if any(file.data_change for file in one.added)]


def _published(
    spark: SparkSession, plan: Plan, store: Store, batches: Sequence[_Bounds], told: tuple[str, Progress]
) -> Iterator[RunResult]:
    """Publish the last batch; the checkpoint advances unless it stopped."""
    number, batch = len(batches) - 1, batches[-1]
    source = plan.contract.source
    pin = FixedBatch(
        _rows(spark, source, batch),
        f"{source}, batch {number} of stream {batch.stream}",
        None,
        sha256([str(source), batch.stream, number, json.dumps(batch.__dict__)]),
        source,
    )
    with ExitStack() as held:
        asked = Asked(plan, f"stream-{batch.stream}-{number:08d}", *told)
        result = reported(spark, asked, MicroBatch(pin), held)
    if result.status != "stopped":
        store.put(_done(number), b"")
    yield result


def _rows(spark: SparkSession, source: Source, batch: _Bounds) -> DataFrame:
    if batch.version is None:
        if not set(batch.files) <= set(manifest(spark, source)):
            raise SourceChanged(f"source {source}: files of the batch under way were changed or removed; put them back")
        return of_files(spark, source, [path for path, _, _ in batch.files]).frame
    if batch.since is None:
        return delta.read(spark, source, batch.version)
    versions = commits_to_read(str(source), _commits(spark, source, batch.since, batch.version))
    frames = [written.rows_added(spark, source, one) for one in versions]
    return reduce(lambda left, right: left.unionByName(right, allowMissingColumns=True), frames)
