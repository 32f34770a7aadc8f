"""Sources that need jars of their own, in one Spark session; run by test_sources.py with the address of a PostgreSQL."""

import os
import sys
import threading
import time
from pathlib import Path

import pytest

import dataward
from dataward.contract import Source
from dataward.contract.reserved import MALFORMED
from dataward.errors import SourceError
from dataward.spark import jars, session
from dataward.spark.session import isolated
from dataward.tables.connectors import messages
from dataward.tables.reading import UNDECODABLE
from dataward.tables.source import pin, streaming
from tests.jars import sources

ROOT, URL = Path(sys.argv[1]), sys.argv[2]
LOGIN = {"user": "PG_USER", "password": "PG_PASSWORD"}


def started():
    return session.get(**{
        "spark.master": "local[2]", "spark.sql.shuffle.partitions": "2", "spark.ui.enabled": "false",
        "spark.jars": ",".join(map(str, [*jars.ensure(), *sources()])),
        "spark.eventLog.enabled": "true", "spark.eventLog.dir": str(ROOT / "events"),
        "spark.sql.catalog.ice": "org.apache.iceberg.spark.SparkCatalog", "spark.sql.catalog.ice.type": "hadoop",
        "spark.sql.catalog.ice.warehouse": str(ROOT / "ice"),
    })  # fmt: skip


class Database:
    """Statements in the database, outside of any source."""

    def __init__(self, spark):
        jvm = spark.sparkContext._jvm
        jvm.org.apache.spark.sql.execution.datasources.jdbc.DriverRegistry.register("org.postgresql.Driver")
        login = jvm.java.util.Properties()
        login.setProperty("user", os.environ["PG_USER"])
        login.setProperty("password", os.environ["PG_PASSWORD"])
        self.connection = jvm.java.sql.DriverManager.getConnection(URL, login)

    def run(self, text):
        self.connection.createStatement().execute(text)

    def number(self, text):
        found = self.connection.createStatement().executeQuery(text)
        found.next()
        return found.getLong(1)


def avro(spark):
    place = str(ROOT / "avro")
    spark.range(5).selectExpr("id", "cast(id as string) as s", "array(id) as a").write.format("avro").save(place)
    found = pin(spark, Source(path=place, format="avro"))
    assert sorted(row.s for row in found.frame.collect()) == list("01234")
    assert not found.changed(spark)
    spark.range(1).selectExpr("id", "cast(id as string) as s", "array(id) as a").write.mode("append").format(
        "avro"
    ).save(place)
    assert found.changed(spark)
    assert dataward.discover(spark, Source(path=place, format="avro"), dataward.Asked()).rows == 6
    spark.range(1).selectExpr("id", "'x' as more").write.mode("append").format("avro").save(place)
    assert sorted(pin(spark, Source(path=place, format="avro")).frame.columns) == ["a", "id", "more", "s"]
    spark.range(1).selectExpr("'x' as id").write.mode("append").format("avro").save(place)
    with pytest.raises(SourceError, match="column 'id' is (bigint|string) in one file and .* avroSchema"):
        pin(spark, Source(path=place, format="avro"))


def iceberg(spark):
    spark.sql("CREATE TABLE ice.db.t (id BIGINT, s STRING) USING iceberg")
    named, below = (
        Source(table="ice.db.t", format="iceberg"),
        Source(path=str(ROOT / "ice" / "db" / "t"), format="iceberg"),
    )
    for source in (named, below):
        with pytest.raises(SourceError, match="has no snapshot yet"):
            pin(spark, source)
    spark.sql("INSERT INTO ice.db.t VALUES (1, 'a'), (2, 'b')")
    first = pin(spark, named)
    spark.sql("INSERT INTO ice.db.t VALUES (3, 'c')")
    spark.sql("DELETE FROM ice.db.t WHERE id = 1")
    assert sorted(row.id for row in first.frame.collect()) == [1, 2]
    assert f"ice.db.t @ snapshot {first.version}" == first.described
    for source in (named, below):
        now = pin(spark, source)
        assert sorted(row.id for row in now.frame.collect()) == [2, 3]
        assert now.version != first.version
        again = pin(spark, source.model_copy(update={"version": first.version}))
        assert sorted(row.id for row in again.frame.collect()) == [1, 2]
    assert pin(spark, named, first.version).digest == first.digest
    assert pin(spark, named.model_copy(update={"options": {"branch": "main"}})).version == now.version
    for update, said in (
        ({"version": 7}, "the Iceberg table has no snapshot 7; it may have expired"),
        ({"options": {"tag": "june"}}, "the Iceberg table has no branch or tag 'june'"),
        ({"options": {"snapshot-id": 7}}, "option 'snapshot-id' does not name one snapshot"),
    ):
        with pytest.raises(SourceError, match=said):
            pin(spark, named.model_copy(update=update))
    contract = ROOT / "iceberg.yaml"
    contract.write_text(
        f"contract: i\nsource: {{format: iceberg, table: ice.db.t, version: {first.version}}}\ntarget: {{path: {ROOT}/from_iceberg}}\n"
        f'keys: {{path: {ROOT}/keys, domain: d}}\ndefault: keep\ndiscovery: off\nengine: spark\nrules: |\n  Rules = [ IsUnique "id" ]\n'
    )
    result = dataward.publish(spark, contract, report_folder=str(ROOT / "reports"))
    assert (result.rows["published"], result.source["version"]) == (2, first.version)
    assert dataward.verify(spark, dataward.plan(contract)).holds


def jdbc_snapshot(spark):
    base = Database(spark)
    base.run("CREATE TABLE people (id BIGINT PRIMARY KEY, name TEXT, changed TIMESTAMP NOT NULL DEFAULT now())")
    base.run("INSERT INTO people SELECT n, 'person ' || n FROM generate_series(1, 3000) AS n")
    contract = ROOT / "jdbc.yaml"
    contract.write_text(
        f"contract: j\nsource:\n  format: jdbc\n  table: public.people\n  options_from: {{user: PG_USER, password: PG_PASSWORD}}\n"
        f"  options: {{url: '{URL}', partitionColumn: id, lowerBound: 0, upperBound: 3000, numPartitions: 3}}\n"
        f"target: {{path: {ROOT}/people}}\nquarantine: {{path: {ROOT}/people_q}}\nkeys: {{path: {ROOT}/keys, domain: d}}\n"
        "columns: {name: {protect: token}}\ndefault: keep\ndiscovery: off\n"
        'rules: |\n  Rules = [ IsUnique "id", ColumnValues "name" matches "person .*", RowCount > 2999, Sum "id" > 0 ]\n'
    )
    stop, other = threading.Event(), Database(spark)

    def writing():
        number = 10_000
        while not stop.is_set():
            number += 1
            other.run(f"INSERT INTO people VALUES ({number}, 'late'); DELETE FROM people WHERE id = {number - 10_000}")
            time.sleep(0.02)

    thread = threading.Thread(target=writing)
    thread.start()
    try:
        result = dataward.publish(spark, contract, report_folder=str(ROOT / "reports"), progress=print)
    finally:
        stop.set()
        thread.join()
    rows = spark.read.format("delta").load(f"{ROOT}/people")
    diverted = spark.read.format("delta").load(f"{ROOT}/people_q") if result.rows["quarantined"] else None
    assert rows.count() + (diverted.count() if diverted else 0) == 3000, "every moment of the table has 3000 rows"
    assert base.number("SELECT count(*) FROM people WHERE name = 'late'") > 5, "it was written meanwhile"
    assert "public.people of jdbc:postgresql://" in result.source["described"]
    assert "@ repeatable-read snapshot" in result.source["described"]
    assert result.source["version"] is None
    assert dataward.verify(spark, dataward.plan(contract)).holds
    for frame in (rows, pin(spark, dataward.plan(contract).contract.source).frame):
        frame.explain(True)
    import gc

    gc.collect()
    left = base.number(
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND query LIKE '%pg_export_snapshot%'"
    )
    assert left <= 1, f"{left} snapshots are held: the runs' must be closed"


def jdbc_watermark(spark):
    base = Database(spark)
    base.run("CREATE TABLE orders (id INT, changed TIMESTAMP, day DATE, seq NUMERIC(12, 0))")
    base.run(
        "INSERT INTO orders SELECT n, timestamp '2026-01-01' + n * interval '1 minute', date '2026-01-01' + n, n FROM generate_series(1, 9) AS n"
    )
    for column in ("changed", "day", "seq", "id"):
        source = Source(format="jdbc", table="orders", options={"url": URL}, options_from=LOGIN, watermark=column)
        found = pin(spark, source)
        assert found.frame.count() == 9
        assert f"@ rows up to {column} = " in found.described
        base.run("INSERT INTO orders VALUES (10, timestamp '2026-02-01', date '2026-02-01', 10)")
        assert found.frame.count() == 9
        assert not found.changed(spark)
        assert pin(spark, source, found.version).digest == found.digest
        assert pin(spark, source).frame.count() == 10
        base.run(
            "UPDATE orders SET id = 20, changed = timestamp '2026-03-01', day = date '2026-03-01', seq = 20 WHERE id = 5"
        )
        assert found.changed(spark)
        base.run("DELETE FROM orders WHERE id >= 10")
        base.run(
            "INSERT INTO orders VALUES (5, timestamp '2026-01-01' + 5 * interval '1 minute', date '2026-01-06', 5)"
        )
    base.run("INSERT INTO orders (id) VALUES (11)")
    with pytest.raises(SourceError, match="1 rows have no 'changed'"):
        pin(spark, Source(format="jdbc", table="orders", options={"url": URL}, options_from=LOGIN, watermark="changed"))
    with pytest.raises(SourceError, match="only PostgreSQL gives all connections one snapshot"):
        pin(spark, Source(format="jdbc", table="orders", options={"url": "jdbc:mysql://h/d"}, options_from=LOGIN))


def jdbc_named(spark):
    """Names with upper case and spaces, and numbers of a type without a scale."""
    base = Database(spark)
    base.run('CREATE SCHEMA "My App"')
    base.run('CREATE TABLE "My App"."People-Raw" (id INT, "Full Name" TEXT, "Changed At" TIMESTAMP, "N" NUMERIC)')
    base.run(
        """INSERT INTO "My App"."People-Raw" VALUES (1, 'ada', now(), 1.5), (2, NULL, now(), 0.000000000000000001)"""
    )
    options = {"url": URL, "partitionColumn": "id", "lowerBound": 0, "upperBound": 3, "numPartitions": 2}
    source = Source(format="jdbc", table='"My App"."People-Raw"', options=options, options_from=LOGIN)
    for mark in (None, "changed at"):
        marked = source.model_copy(update={"watermark": mark})
        assert sorted(row["Full Name"] or "" for row in pin(spark, marked).frame.collect()) == ["", "ada"]
    with pytest.raises(SourceError, match="it has no column 'gone' for 'watermark'; it has id, full name"):
        pin(spark, source.model_copy(update={"watermark": "gone"}))
    base.run("""INSERT INTO "My App"."People-Raw" VALUES (3, 'eve', now(), 0.1234567890123456789)""")
    for mark in (None, "Changed At"):
        marked = source.model_copy(update={"watermark": mark})
        with pytest.raises(SourceError, match="1 rows have more than 18 decimal places in 'N'"):
            pin(spark, marked)
        texts = marked.model_copy(update={"options": {**options, "customSchema": "`N` STRING"}})
        assert "0.1234567890123456789" in [row.N for row in pin(spark, texts).frame.collect()]


def jdbc_denied(spark):
    os.environ["PG_WRONG"] = "canary-wrong-password"
    source = Source(format="jdbc", table="orders", options={"url": URL}, options_from={**LOGIN, "password": "PG_WRONG"})
    for more in ({}, {"watermark": "changed"}):
        with pytest.raises(SourceError, match="the database refuses user or password") as caught:
            pin(spark, source.model_copy(update=more))
        assert "canary" not in str(caught.value)
    with pytest.raises(SourceError, match="the database has no such table"):
        pin(spark, source.model_copy(update={"table": "nothing", "options_from": LOGIN}))
    with pytest.raises(SourceError, match="the database cannot be reached"):
        pin(
            spark,
            source.model_copy(update={"options": {"url": "jdbc:postgresql://127.0.0.1:9/x"}, "options_from": LOGIN}),
        )
    with pytest.raises(SourceError, match="options_from.password: the environment variable PG_NONE is not set"):
        pin(spark, source.model_copy(update={"options_from": {"password": "PG_NONE"}}))


def kafka(spark):
    source = Source(
        format="kafka", options={"subscribe": "t", "kafka.bootstrap.servers": "localhost:9"}, schema="id INT, s STRING"
    )
    texts = [b'{"id": 1, "s": "a"}', b"not json", b'{"id": "x", "s": "b"}', None, b'{"id": 1, "s": "\xe9"}']
    values = [(bytearray(text) if text else None,) for text in texts]
    frame = messages(spark.createDataFrame(values, "value binary"), source)
    rows = [(row.id, row[MALFORMED]) for row in frame.collect()]
    assert rows[0] == (1, None)
    assert [bad for _, bad in rows[1:]] == [
        "not json",
        '{"id": "x", "s": "b"}',
        "(a message without a value)",
        UNDECODABLE,
    ]
    with isolated(spark) as own:
        assert streaming(own, source).columns == ["id", "s", MALFORMED]
        assert "value" in streaming(own, source.model_copy(update={"schema_": None})).columns
    with pytest.raises(SourceError, match="publish it with --stream"):
        pin(spark, source)


if __name__ == "__main__":
    from dataward.keys import create_keyring

    (ROOT / "events").mkdir()
    create_keyring(ROOT / "keys").add_domain("d")
    spark = started()
    failed = False
    for step in (avro, iceberg, jdbc_snapshot, jdbc_watermark, jdbc_named, jdbc_denied, kafka):
        begun = time.monotonic()
        try:
            step(spark)
            print(f"OK {step.__name__} {time.monotonic() - begun:.1f}")
        except BaseException:
            import traceback

            traceback.print_exc()
            print(f"FAILED {step.__name__}")
            failed = True
    spark.stop()
    sys.exit(int(failed))
