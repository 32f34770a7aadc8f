"""Idempotent commits to Delta tables: a killed run that is started again writes nothing twice."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Container, Iterable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from dataward.contract import Location, Target
from dataward.errors import Overtaken, ProtectionError, TargetError
from dataward.spark.settings import refuses, settings
from dataward.spark.sql import identifier, literal
from dataward.tables import delta, turns
from dataward.tables.declared import Declared, Fit, conformed, declared, fit, read_back
from dataward.tables.delta import Commit
from dataward.tables.deltalog.hadoop import hashes_files, reads_commit
from dataward.tables.log_statistics import statistics, tighten
from dataward.tables.named import AUTO_MERGE, USER_METADATA, named
from dataward.tables.reason import OVERTAKEN, from_worker, reason

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

__all__ = [
    "Manner",
    "Transaction",
    "Meeting",
    "append_in_turn",
    "append_once",
    "commit_target",
    "found_late",
    "insert_missing",
    "replace_all",
    "restore",
    "restore_to",
    "swap_once",
]


@dataclass(frozen=True)
class Meeting:
    """The plan of a commit.

    Attributes:
        schema: the schema by which readers see the frame's rows; None where the table changes or adds values.
        partition_by: partition columns.
        whole: whether all rows of the table are removed.
        where: SQL of the rows to remove; None where no condition describes them.
        keys: SQL by which a merge matches rows of the table (``t``) and of the frame (``s``); None for no merge.
    """

    schema: StructType | None
    partition_by: tuple[str, ...] = ()
    whole: bool = False
    where: str | None = None
    keys: str | None = None


@dataclass(frozen=True)
class Transaction:
    """Identity of a commit, which makes it idempotent, and the content of its log entry.

    Attributes:
        app: ID of the run, or of another writer.
        metadata: metadata for the commit's ``userMetadata``.
        stats: columns whose minima and maxima may be in the log: no sensitive one.
    """

    app: str
    metadata: Mapping[str, Any]
    stats: tuple[str, ...] = ()


@dataclass(frozen=True)
class _How:
    """Write options: Spark's save mode, options of the writer, partition columns of a new table."""

    mode: str
    options: Mapping[str, str] = field(default_factory=dict)
    partition_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Manner:
    """How a run's rows are combined with those of the table.

    ``beside`` names, for columns whose key is being rotated, the column with the tokens of the outgoing version;
    ``where``: the rows that mode refresh swaps (SQL), None for all. ``table``: the table's declarations, if known.
    ``watch`` gets the frame just before the write, and returns the one to write.
    """

    beside: Mapping[str, str] = field(default_factory=dict)
    where: str | None = None
    table: Declared | None = None
    watch: Callable[[DataFrame, Meeting], DataFrame] | None = None


WHOLE = Manner()


def append_once(spark: SparkSession, frame: DataFrame, place: Location, transaction: Transaction) -> Commit:
    """Append rows unless the transaction was committed before, and return its commit. New columns are added."""
    return _write(spark, frame, place, transaction, _How("append", {"mergeSchema": "true"}))


def swap_once(
    spark: SparkSession,
    frame: DataFrame,
    place: Location,
    transaction: Transaction,
    partition_by: Iterable[str],
    where: str | None,
) -> Commit:
    """Replace the rows that fulfil ``where`` (None: all rows), unless the transaction was committed before."""
    options = {"replaceWhere": where} if where else {"overwriteSchema": "true"}
    return _write(spark, frame, place, transaction, _How("overwrite", options, tuple(partition_by)))


def append_in_turn(spark: SparkSession, frame: DataFrame, place: Location, transaction: Transaction, turn: int) -> None:
    """Append as the ``turn``-th transaction of an app: of writers with the same turn one wins.

    The others get Delta's concurrency error or, after the winner's commit, no error although nothing is written: read the table back.
    """
    writer = frame.write.format("delta").mode("append").options(**statistics(transaction.stats))
    writer = writer.option("delta.appendOnly", "true").option("txnAppId", transaction.app).option("txnVersion", turn)
    with turns.exclusive(spark, place, transaction.app):
        _save(writer.option("userMetadata", json.dumps({"dataward": 1, **transaction.metadata})), place)


def insert_missing(
    spark: SparkSession, frame: DataFrame, schema: str, place: Location, key: str, update: bool = False
) -> None:
    """Insert the rows whose key the table lacks, safe with concurrent inserts; creates the table.

    ``update``: replace rows whose key exists.

    Raises:
        TargetError: the table cannot be written.
    """
    try:
        with turns.exclusive(spark, place, f"insert-{key}"):
            if not delta.exists(spark, place):
                empty = spark.createDataFrame([], schema).write.format("delta").mode("ignore").options(**statistics([]))
                _save(empty.option("userMetadata", json.dumps({"dataward": 1})), place)
            for left in range(9, -1, -1):
                try:
                    merging = delta.delta_table(spark, place).alias("t").merge(frame.alias("s"), _same(key))
                    merging = merging.whenMatchedUpdateAll() if update else merging
                    merging.whenNotMatchedInsertAll().execute()
                    return
                except Exception as error:
                    if not left or "another writer" not in reason(error):
                        raise
    except TargetError:
        raise
    except Exception as error:
        raise TargetError(f"{place}: {reason(error)}") from None


def _save(writer: Any, place: Location) -> None:
    if place.path is not None:
        writer.save(place.path)
    else:
        writer.saveAsTable(str(place.table))


def commit_target(
    spark: SparkSession,
    frame: DataFrame,
    target: Target,
    transaction: Transaction,
    manner: Manner = WHOLE,
) -> Commit:
    """Publish a run's rows as one Delta version unless that run has committed before."""
    manner = replace(manner, table=manner.table or declared(spark, target))
    table, where = manner.table, manner.where
    if target.mode == "replace":
        where = " and ".join(f"{identifier(name)} = {_sql(value)}" for name, value in target.partition.items())
    options: dict[str, str] = {}
    partition_by, found, keys = target.partition_by, None, None
    whole = table is None or (target.mode in ("overwrite", "refresh") and where is None)
    if table is not None:
        found = fit(frame.schema, table, whole, target.evolve, manner.beside.values())
        if found.problems:
            name, what, remedy = found.problems[0]
            raise TargetError(f"{target}: column '{name}': {what}; {remedy}")
        frame, options = conformed(frame, found, table), _schema_options(found, table, whole)
        partition_by = table.partition_by
        if target.mode == "merge":
            keys = " and ".join(_same(name, manner.beside.get(name), table.names) for name in target.on)
    if manner.watch is not None:
        schema = read_back(frame.schema, table, found, partition_by)
        frame = manner.watch(frame, Meeting(schema, tuple(partition_by), whole, where, keys))
    if keys is not None and found is not None:
        return _merge(spark, frame, target, keys, transaction, found)
    if where:
        options["replaceWhere"] = where
    mode = "append" if target.mode in ("append", "merge") else "overwrite"
    return _write(spark, frame, target, transaction, _How(mode, options, tuple(partition_by)))


def _schema_options(found: Fit, table: Declared, whole: bool) -> dict[str, str]:
    """Return the options of the schema; it is replaced only where columns are dropped or change type, which loses declarations."""
    if found.rewrites:
        return {"overwriteSchema": "true"}
    # Delta 3.3 drops clustering in an overwrite, but not in one that replaces the rows of a condition.
    kept = {"replaceWhere": "true"} if whole and table.clustered else {}
    return kept | ({"mergeSchema": "true"} if found.adds else {})


def replace_all(
    spark: SparkSession,
    frame: DataFrame,
    place: Location,
    transaction: Transaction,
    read: int,
    watch: Callable[[DataFrame, Meeting], DataFrame] | None = None,
) -> Commit:
    """Replace all rows by a frame made from version ``read``, unless rows were added since; partitions stay.

    ``watch``: see :class:`Manner`.

    Raises:
        TargetError: the table cannot be written, or somebody else wrote meanwhile; then nothing is changed.
    """
    table = declared(spark, place)
    assert table is not None  # noqa: S101 - its version was read
    found = fit(frame.schema, table, whole=True)
    options = {"overwriteSchema": "true"} if found.nulls else _schema_options(found, table, whole=True)
    if watch is not None:
        schema = read_back(frame.schema, table, found, table.partition_by)
        frame = watch(frame, Meeting(schema, table.partition_by, whole=True))
    done = _write(spark, frame, place, transaction, _How("overwrite", options, table.partition_by))
    others = [
        commit
        for commit in delta.history(spark, place)
        if read < commit.version < done.version and "TBLPROPERTIES" not in commit.operation
    ]
    if others:
        restore(spark, place, done)
        raise TargetError(f"{place}: somebody wrote version {others[0].version} meanwhile; it stays, try again")
    return done


def _write(spark: SparkSession, frame: DataFrame, place: Location, transaction: Transaction, how: _How) -> Commit:
    parts = {name.lower() for name in how.partition_by}
    stats = [name for name in transaction.stats if name.lower() not in parts]

    def prepared(rows: DataFrame, mode: str) -> Any:
        writer = rows.write.format("delta").mode(mode).options(**statistics(stats))
        # One that the table generates is not among the frame's: an existing table stays partitioned without their names.
        if parts and parts <= {name.lower() for name in frame.columns}:
            writer = writer.partitionBy(*how.partition_by)
        if delta.needs_mapping(rows.schema) and not delta.exists(spark, place):
            writer = writer.options(**delta.MAPPING)
        return writer

    def write() -> None:
        own = {"userMetadata": _metadata(transaction), "txnAppId": f"dataward/{transaction.app}", "txnVersion": "1"}
        # Delta takes the metadata of the commit that creates a table by name from the session only.
        created = place.path is None and not delta.exists(spark, place)
        if created and refuses(spark, USER_METADATA):
            _save(prepared(frame.limit(0), "ignore"), place)
            version, root = delta.latest_version(spark, place), delta.location(spark, place)
            if not (reads_commit(spark, place, version) and hashes_files(spark, root)):
                raise TargetError(
                    "the catalog created it, empty, where its files are not read by path; give it a LOCATION"
                )
        with named(spark, own["userMetadata"]) if created else nullcontext():
            _save(prepared(frame, how.mode).options(**how.options, **own), place)

    return _once(spark, place, transaction, write)


def _metadata(transaction: Transaction) -> str:
    return json.dumps({"dataward": 1, "run_id": transaction.app, **transaction.metadata})


def _merge(
    spark: SparkSession, frame: DataFrame, target: Target, keys: str, transaction: Transaction, found: Fit
) -> Commit:
    # A merge reads these only from the session, which is isolated for this run (dataward.spark.session.isolated).
    own = {
        "spark.databricks.delta.write.txnAppId": f"dataward/{transaction.app}",
        "spark.databricks.delta.write.txnVersion": "1",
    }
    if found.generated:  # else Delta takes a table with padded columns (char) for a view, into which it generates none
        own["spark.sql.readSideCharPadding"] = "false"
    by_clause = bool(found.adds) and bool(refuses(spark, AUTO_MERGE))
    if found.adds and not by_clause:
        own[AUTO_MERGE] = "true"
    values = {identifier(name): f"s.{identifier(name)}" for name in frame.columns}

    def merge() -> None:
        with named(spark, _metadata(transaction)), settings(spark, own, hints=True):
            merging = delta.delta_table(spark, target).alias("t").merge(frame.alias("s"), keys)
            merging = merging.withSchemaEvolution() if by_clause else merging
            # By name: columns that the run lacks stay unchanged, and the table fills its generated columns.
            merging.whenMatchedUpdate(set=values).whenNotMatchedInsert(values=values).execute()

    return _once(spark, target, transaction, merge)


def _same(name: str, beside: str | None = None, there: Container[str] = ()) -> str:
    """Return SQL that matches a row of the target with a row of the source; in a rotation, by tokens of the outgoing version."""
    if beside is None:
        return f"{identifier('t', name)} = {identifier('s', name)}"
    old = identifier("t", name)
    if beside.lower() in there:
        old = f"coalesce({identifier('t', beside)}, {old})"
    return f"{old} = {identifier('s', beside)}"


def _once(spark: SparkSession, place: Location, transaction: Transaction, write: Callable[[], None]) -> Commit:
    """Write, then read the commit back, because Delta silently skips a known transaction."""
    with turns.exclusive(spark, place, transaction.app):
        return _read_back(spark, place, transaction, write)


def _read_back(spark: SparkSession, place: Location, transaction: Transaction, write: Callable[[], None]) -> Commit:
    run_id = transaction.app
    try:
        tighten(spark, place, transaction.stats)
        write()
        done = delta.find_run(spark, place, run_id, limit=1) or delta.find_run(spark, place, run_id, limit=None)
    except Exception as error:
        if said := from_worker(error):
            raise ProtectionError(said) from None
        with suppress(Exception):  # steps after a commit (a checkpoint, a read of it) may fail as well
            if done := delta.find_run(spark, place, run_id):
                return done
        why = f"{place}: {reason(error)}. Nothing of this run was published here; mend it and rerun"
        raise (Overtaken(why, run_id) if OVERTAKEN in why else TargetError(why)) from None
    if done is None:
        raise TargetError(
            f"{place}: the write left no commit of run {run_id}. Another table may have replaced this one"
        )
    return done


def found_late(spark: SparkSession, place: Location, run_id: str) -> Commit | None:
    """Return a run's commit, also one that the JVM was writing when the run was interrupted; None where there is none."""
    for wait in (0.0, 0.5, 1.0):
        time.sleep(wait)
        if found := delta.find_run(spark, place, run_id):
            break
    return found


def restore(spark: SparkSession, place: Location, commit: Commit) -> None:
    """Revert a commit: readers see the rows of the version before it (none, if it created the table)."""
    with named(spark, json.dumps({"dataward": 1, "takes_back": commit.version})):
        if commit.version > 0:
            restore_to(spark, place, commit.version - 1)
        else:
            with turns.exclusive(spark, place, "restore"):
                delta.delta_table(spark, place).delete()


def restore_to(spark: SparkSession, place: Location, version: int) -> None:
    """Restore an earlier version for readers."""
    with turns.exclusive(spark, place, f"restore-{version}", mending=True):
        delta.delta_table(spark, place).restoreToVersion(version)


def _sql(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    return literal(str(value))
