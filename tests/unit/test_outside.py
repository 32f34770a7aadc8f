"""Sources outside of file systems: what a contract may say, where secrets are, and how places are named."""

import pytest

from dataward.contract import Source
from dataward.contract.outside import dataset_of
from dataward.errors import SourceError
from dataward.tables import jdbc
from dataward.tables.connectors import absent, coordinate
from dataward.tables.jdbc import quoted
from dataward.tables.reason import reason
from dataward.tables.secrets import resolved

PG = {
    "format": "jdbc",
    "table": "public.people",
    "options": {"url": "jdbc:postgresql://db:5432/shop?sslmode=verify-full"},
}
KAFKA = {"format": "kafka", "options": {"subscribe": "people", "kafka.bootstrap.servers": "b1:9092,b2:9092"}}


@pytest.mark.parametrize(("given", "said"), [
    ({**PG, "options": {"url": "jdbc:postgresql://u:pw@db/shop"}}, "'url' holds a user or a password"),
    ({**PG, "options": {"url": "jdbc:postgresql://db/shop?user=u&password=pw"}}, "'url' holds a user or a password"),
    ({**PG, "options": {**PG["options"], "Password": "pw"}}, r"'password' would be a secret .* options_from: \{password: NAME\}"),
    ({**PG, "options": {**PG["options"], "query": "SELECT 1"}}, "option 'query' is set by Dataward"),
    ({**PG, "options_from": {"dbtable": "X"}}, "option 'dbtable' is set by Dataward"),
    ({**PG, "options": {**PG["options"], "fetchsize": 0}}, "outside of a transaction"),
    ({**PG, "options": {}}, "needs options: .url"),
    ({**PG, "table": None}, "needs 'table'"),
    ({**PG, "path": "p"}, "'path' does not go with format jdbc"),
    ({**PG, "version": 1}, "'version' goes with"),
    ({**PG, "watermark": "a; DROP TABLE x"}, "pattern"),
    ({**PG, "table": "a; DROP TABLE x"}, "'table' is a name"),
    ({**PG, "table": "(SELECT 1) AS q"}, "Make a view in the database of a query"),
    ({**PG, "table": '"a"b"'}, "'table' is a name"),
    ({**PG, "table": '"a'}, "'table' is a name"),
    ({**PG, "table": "people-raw"}, "in double quotes"),
    ({**PG, "options_from": {"password": "not a name"}}, "pattern"),
    ({**PG, "options": {**PG["options"], "user": "u"}, "options_from": {"user": "U"}}, "is both under"),
    ({**KAFKA, "options": {**KAFKA["options"], "kafka.sasl.jaas.config": "x"}}, "'kafka.sasl.jaas.config' would be a secret"),
    ({**KAFKA, "table": "t"}, "'table' does not go with format kafka"),
    ({"format": "frame", "path": "p"}, "'path' does not go with format frame"),
    ({"format": "frame", "options": {"a": 1}}, "'options' does not go with format frame"),
    ({"format": "csv", "path": "p", "watermark": "c"}, "'watermark' goes with format jdbc"),
    ({"format": "iceberg"}, "exactly one of 'path' and 'table'")])  # fmt: skip
def test_what_does_not_go_with_a_source_is_refused(given, said):
    with pytest.raises(ValueError, match=said):
        Source(**given)


def test_a_database_and_a_topic_are_named_without_parameters():
    database, topic = Source(**PG), Source(**KAFKA, schema="id INT")
    assert str(database) == "public.people of jdbc:postgresql://db:5432/shop"
    assert str(topic) == "kafka topic people at b1:9092,b2:9092"
    assert dataset_of("jdbc", "public.people", PG["options"]) == ("postgres://db:5432", "shop.public.people")
    assert dataset_of("kafka", None, KAFKA["options"]) == ("kafka://b1:9092", "people")


@pytest.mark.parametrize("name", ["People", "a.b.c", '"My App"."People-Raw"', 'public."a.b;c"'])
def test_a_table_of_a_database_may_have_quoted_parts(name):
    assert Source(**{**PG, "table": name}).table == name
    assert dataset_of("jdbc", name, PG["options"])[1] == "shop." + name.replace('"', "")


@pytest.mark.parametrize(("name", "url", "sql"), [
    ("changed_at", "jdbc:postgresql://h/d", "changed_at"), ("Changed At", "jdbc:postgresql://h/d", '"Changed At"'),
    ("CHANGED", "jdbc:oracle:thin:@h", '"CHANGED"'), ("ChangedAt", "jdbc:mysql://h/d", "`ChangedAt`")])  # fmt: skip
def test_a_watermark_is_quoted_where_its_database_would_read_another_name(name, url, sql):
    assert quoted(name, url) == sql


def test_a_database_table_is_no_table_of_the_catalog():
    assert not Source(**PG).same(Source(table="public.people"))
    assert Source(**PG).same(Source(**PG))
    assert not Source(format="frame").same(Source(**KAFKA))


def test_secrets_come_from_the_environment_and_from_files(monkeypatch, tmp_path):
    monkeypatch.setenv("PG_PASSWORD", "one")
    (tmp_path / "user").write_text("two\n")
    assert resolved({"password": "PG_PASSWORD", "User": f"file:{tmp_path}/user"}) == {"password": "one", "user": "two"}
    monkeypatch.delenv("PG_PASSWORD")
    with pytest.raises(SourceError, match=r"options_from.password: the environment variable PG_PASSWORD is not set"):
        resolved({"password": "PG_PASSWORD"})
    with pytest.raises(SourceError, match=r"options_from.password: .*gone cannot be read \(FileNotFoundError\)"):
        resolved({"password": f"file:{tmp_path}/gone"})


def test_a_missing_reader_is_named_by_its_coordinate():
    assert coordinate("orc") is None
    missing = RuntimeError("java.lang.ClassNotFoundException: org.postgresql.Driver")
    assert "no driver for this JDBC URL" in absent("jdbc", missing)
    assert "--packages org.apache.spark:spark-sql-kafka-0-10_2.1" in absent(
        "kafka", RuntimeError("Failed to find data source: kafka")
    )
    assert absent("kafka", RuntimeError("refused")) is None
    assert absent("orc", missing) is None


@pytest.mark.parametrize(("spark", "words"), [
    ("3.5.7", "--packages org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.10.0,"),
    ("4.1.1", "--packages org.apache.iceberg:iceberg-spark-runtime-4.1_2.13:1.11.0,"),
    ("4.2.0", "no reader of format iceberg is published for Spark 4.2; there is one for 3.5, 4.0, 4.1"),
])  # fmt: skip
def test_a_reader_of_iceberg_is_named_where_one_is_published(monkeypatch, spark, words):
    monkeypatch.setattr("pyspark.__version__", spark)
    assert words in absent("iceberg", RuntimeError("Failed to find data source: iceberg"))


@pytest.mark.parametrize(("said", "told"), [
    ("org.postgresql.util.PSQLException: FATAL: password authentication failed for user \"owner\"", "the database refuses user or password"),
    ("org.postgresql.util.PSQLException: Connection to db:5432 refused. Check that", "the database cannot be reached"),
    ("org.postgresql.util.PSQLException: ERROR: relation \"x\" does not exist", "the database has no such table"),
    ("org.postgresql.util.PSQLException: ERROR: permission denied for table people", "the database's user may not read"),
    ("org.postgresql.util.PSQLException: ERROR: invalid snapshot identifier: \"0-1\"", "the database ended the run's snapshot")])  # fmt: skip
def test_what_a_database_refuses_is_said_without_its_words(said, told):
    assert reason(RuntimeError(said)).startswith(told)


@pytest.mark.parametrize(("kind", "mark", "sql"), [
    ("decimal(20,0)", 20261126135900123456, "cast('20261126135900123456' AS decimal(20,0))"), ("bigint", 7, "7L"),
    ("date", 20000, "date_from_unix_date(20000)"), ("timestamp", -1, "timestamp_micros(-1)"),
])  # fmt: skip
def test_a_watermark_beyond_a_bigint_is_exact(kind, mark, sql):
    """As a bigint it would wrap around to a negative number, below which there are no rows."""
    assert jdbc.literal_of(kind, mark) == sql
    assert ("bigint" in jdbc.KINDS[kind]) == (kind in ("bigint", "date"))
