"""Read a table of a database by JDBC, so that every pass of a run reads the same rows.

PostgreSQL: a transaction of the driver's own exports a snapshot, and every connection of every task reads in it
(``SET TRANSACTION SNAPSHOT``). Any database: a *watermark*, a column that grows with every new or changed row; rows up to
its present maximum are read, and counted again before the commit.
"""

from __future__ import annotations

import hashlib
import re
import weakref
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.contract import Source
from dataward.errors import SourceError
from dataward.spark.kind import is_remote
from dataward.spark.sql import column, identifier
from dataward.tables.secrets import resolved

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

__all__ = ["Rows", "count_digest", "literal_of", "quoted", "rows_of"]

POSTGRESQL, DRIVER = "jdbc:postgresql:", "org.postgresql.Driver"
REPEATABLE_READ = 4  # java.sql.Connection.TRANSACTION_REPEATABLE_READ
EXPORT = "SELECT pg_export_snapshot(), to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
PARALLEL = frozenset(["partitioncolumn", "lowerbound", "upperbound", "numpartitions"])
SNAPSHOT = re.compile(r"[0-9A-Fa-f-]{5,60}")


@dataclass(frozen=True)
class Rows:
    """Rows of a database, and what pins them.

    Attributes:
        frame: the rows.
        described: how they are pinned, as text.
        version: the watermark as a whole number (microseconds, days, or the number itself); None: a snapshot.
        digest: SHA-256 (hex) that identifies the rows.
    """

    frame: DataFrame
    described: str
    version: int | None
    digest: str


def rows_of(spark: SparkSession, source: Source, version: int | None) -> Rows:
    """Return the rows of a source, pinned.

    Args:
        spark: the session; the snapshot lives as long as it.
        source: the source.
        version: watermark of the first attempt; None for the present one.

    Raises:
        SourceError: the database cannot pin rows, or rows have no watermark.
    """
    if source.watermark is not None:
        return _up_to(spark, source, source.watermark, version)
    url = str(source.reader_options["url"])
    if not url.startswith(POSTGRESQL):
        raise SourceError(
            f"source {source}: only PostgreSQL gives all connections one snapshot. Add source.watermark: COLUMN, a column that grows "
            "with every new or changed row"
        )
    if is_remote(spark):
        raise SourceError(
            f"source {source}: a snapshot needs a classic session, as the driver holds a connection of its own. Add source.watermark: "
            "COLUMN, or run it in a classic session"
        )
    snapshot, time = _exported(spark, source, url)
    begin = f"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET TRANSACTION SNAPSHOT '{snapshot}'"
    frame = _read(spark, source, str(source.table), sessionInitStatement=begin)
    _refuse_rounded(spark, source, frame, sessionInitStatement=begin)
    described = f"repeatable-read snapshot {snapshot} of {time}"
    return Rows(frame, described, None, hashlib.sha256(f"jdbc {source} {described}".encode()).hexdigest())


def _read(spark: SparkSession, source: Source, table: str, **more: str) -> DataFrame:
    given = {key: str(value) for key, value in source.reader_options.items()}
    # Spark would ask DriverManager, which knows the driver of the snapshot's connection by Spark's wrapper only.
    ours = {"fetchsize": "10000", **({"driver": DRIVER} if given["url"].startswith(POSTGRESQL) else {})}
    options = {**ours, **given, **resolved(source.options_from), "dbtable": table, **more}
    return spark.read.format("jdbc").options(**options).load()


def _asked(spark: SparkSession, source: Source, columns: str, **more: str) -> DataFrame:
    """Return the one row of a query on the whole table, read by one connection."""
    whole = {name: value for name, value in source.options.items() if name.lower() not in PARALLEL}
    query = f"(SELECT {columns} FROM {source.table}) AS asked"  # noqa: S608 - names by their patterns, or of the database
    return _read(spark, source.model_copy(update={"options": whole}), query, **more)


def _refuse_rounded(spark: SparkSession, source: Source, frame: DataFrame, **more: str) -> None:
    """Refuse numbers that Spark would round: of PostgreSQL's numeric without a scale, it keeps 18 decimal places.

    Raises:
        SourceError: a column has such numbers.
    """
    url = str(source.reader_options["url"])
    names = [field.name for field in frame.schema.fields if field.dataType.simpleString() == "decimal(38,18)"]
    if not names or not url.startswith(POSTGRESQL):
        return
    counts = [f"count(*) FILTER (WHERE scale({quoted(name, url)}) > 18) AS c{n}" for n, name in enumerate(names)]
    for name, rows in zip(names, _asked(spark, source, ", ".join(counts), **more).collect()[0], strict=True):
        if rows:
            raise SourceError(
                f"source {source}: {rows} rows have more than 18 decimal places in '{name}', a numeric without a scale, and Spark would "
                f"round them; read it as text by options: {{customSchema: '{identifier(name)} STRING'}}, or cast it in a view there"
            )


def _exported(spark: SparkSession, source: Source, url: str) -> tuple[str, str]:
    """Open a transaction that exports its snapshot; it ends with the Python object of the session."""
    jvm: Any = spark.sparkContext._jvm
    jvm.org.apache.spark.sql.execution.datasources.jdbc.DriverRegistry.register(DRIVER)
    login = jvm.java.util.Properties()
    for key, value in resolved(source.options_from).items():
        login.setProperty(key, value)
    connection = jvm.java.sql.DriverManager.getConnection(url, login)
    weakref.finalize(spark, _close, connection)
    connection.setAutoCommit(False)
    connection.setTransactionIsolation(REPEATABLE_READ)
    statement = connection.createStatement()
    statement.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    found = statement.executeQuery(EXPORT)
    found.next()
    snapshot, time = str(found.getString(1)), str(found.getString(2))
    if not SNAPSHOT.fullmatch(snapshot):
        raise SourceError(f"source {source}: the database exports no snapshot. Add source.watermark: COLUMN")
    return snapshot, time


def _close(connection: Any) -> None:
    with suppress(Exception):  # the JVM may be gone
        connection.close()


def _up_to(spark: SparkSession, source: Source, name: str, version: int | None) -> Rows:
    """Return the rows up to a watermark."""
    from pyspark.sql import functions as F

    table = str(source.table)
    there = {field.name.lower(): field for field in _read(spark, source, table).schema.fields}
    if (found := there.get(name.lower())) is None:
        raise SourceError(f"source {source}: it has no column '{name}' for 'watermark'; it has {', '.join(there)}")
    name, kind = found.name, found.dataType.simpleString()
    if kind not in KINDS:
        raise SourceError(
            f"source {source}: the watermark '{name}' is of type {kind}; it must be a timestamp, a date or a whole number"
        )
    url = str(source.reader_options["url"])
    spelled = quoted(name, url)
    newest = f"max({spelled})"
    if kind.startswith("decimal"):  # as text: Spark would read the number of an expression with 18 decimal places
        newest = f"cast({newest} AS {'char' if _in_backticks(url) else 'varchar'}(60))"
    asked = _asked(spark, source, f"{newest} AS w, count(*) - count({spelled}) AS without")
    row = asked.select(F.expr(KINDS[kind]), "without").first()
    present, without = row if row else (None, 0)
    if without:
        raise SourceError(
            f"source {source}: {without} rows have no '{name}' and cannot be pinned; fill it, or leave them out by a view"
        )
    mark = version if version is not None else int(present if present is not None else -1)
    whole = _read(spark, source, table)
    _refuse_rounded(spark, source, whole)
    frame = whole.where(_bound(name, kind, mark))
    return Rows(
        frame, f"rows up to {name} = {_shown(spark, kind, mark)}", mark, count_digest(spark, source, frame, mark)
    )


def quoted(name: str, url: str) -> str:
    """Return a column's exact name, quoted where the database would read another."""
    if re.fullmatch(r"[a-z_][a-z0-9_]*", name):
        return name
    quote = "`" if _in_backticks(url) else '"'
    return f"{quote}{name.replace(quote, 2 * quote)}{quote}"


def _in_backticks(url: str) -> bool:
    """Return whether a database is MySQL or one like it."""
    return url.startswith(("jdbc:mysql:", "jdbc:mariadb:"))


KINDS = {
    "timestamp": "unix_micros(w)",
    "date": "cast(unix_date(w) AS bigint)",
    **dict.fromkeys(("bigint", "int", "smallint"), "cast(w AS bigint)"),
    **{f"decimal({digits},0)": "trim(w)" for digits in range(1, 39)},  # they may exceed a bigint
}
"""SQL of a watermark as a whole number, or as its text, by its type."""


def _bound(name: str, kind: str, mark: int) -> Column:
    from pyspark.sql import functions as F

    return column(name) <= F.expr(literal_of(kind, mark))


def literal_of(kind: str, mark: int) -> str:
    """Return a watermark as SQL of its type."""
    if kind == "timestamp":
        return f"timestamp_micros({mark})"
    if kind == "date":
        return f"date_from_unix_date({mark})"
    return f"cast('{mark}' AS {kind})" if kind.startswith("decimal") else f"{mark}L"


def _shown(spark: SparkSession, kind: str, mark: int) -> str:
    if kind not in ("timestamp", "date"):
        return str(mark)
    row = spark.sql(f"SELECT cast({literal_of(kind, mark)} AS string)").first()
    return str(row[0]) if row else str(mark)


def count_digest(spark: SparkSession, source: Source, frame: DataFrame, mark: int) -> str:
    """Return the digest of rows up to a watermark: it changes where one of them is changed, added or removed."""
    return hashlib.sha256(f"jdbc {source} {source.watermark} {mark} {frame.count()}".encode()).hexdigest()
