"""A caller's DataFrame as the source: evaluated once, pinned by a keyed digest; files of ORC."""

import pytest
from pyspark.sql import functions as F

import dataward
from dataward.contract import Source
from dataward.contract.reserved import MALFORMED
from dataward.errors import SourceChanged, SourceError, UsageError
from dataward.spark.session import isolated
from dataward.tables.connectors import absent
from dataward.tables.frame import evaluated
from dataward.tables.source import pin
from tests.installed import SPARK4

FRAME = Source(format="frame")


def kept(spark) -> set[int]:
    """IDs of the RDDs that are persisted, without the states of tables that Delta keeps."""
    rdds = spark.sparkContext._jsc.getPersistentRDDs()
    return {int(number) for number in rdds if "Delta Table State" not in (rdds[number].name() or "")}


def test_a_frame_is_evaluated_once_and_every_pass_reads_the_same_rows(spark, lake):
    calls, before = spark.sparkContext.accumulator(0), kept(spark)

    @F.udf("string")
    def named(number):
        calls.add(1)
        return f"person {number}"

    frame = spark.range(0, 200, 1, 3).select("id", F.rand().alias("x"), named("id").alias("name"))
    contract = lake.contract(
        'IsUnique "id", ColumnValues "x" >= 0.25, Mean "x" < 1', "{name: {protect: token}}", "{format: frame}"
    )
    result = dataward.publish(contract, source=frame, report_folder=str(lake.root / "reports"))
    assert calls.value == 200
    assert result.rows["in"] == 200 == result.rows["published"] + result.rows["quarantined"]
    published, diverted = lake.read(), lake.read("quarantine")
    assert published.where("x < 0.25").count() == 0 == diverted.where("x >= 0.25").count()
    assert published.count() > 0 < diverted.count()
    (sealed,) = [entry.seal for entry in lake.entries()]
    assert "a DataFrame of the caller, without a version" in sealed.source["described"]
    assert sealed.source["version"] is None
    assert len(sealed.source["sha256"]) == 64
    assert lake.verify().holds
    assert kept(spark) <= before, "the rows are released"


def test_other_rows_under_the_id_of_a_killed_run_are_refused_and_the_same_finish_it(spark, lake, monkeypatch):
    contract = lake.contract(source="{format: frame}")
    frame = spark.range(5)

    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("dataward.pipeline.publish.seal_version", killed)
    with pytest.raises(KeyboardInterrupt):
        dataward.publish(spark, contract, "r1", str(lake.root / "reports"), source=frame)
    monkeypatch.undo()
    with pytest.raises(SourceChanged, match="it is not what run 'r1' began with"):
        dataward.publish(spark, contract, "r1", str(lake.root / "reports"), source=spark.range(6))
    result = dataward.publish(spark, contract, "r1", str(lake.root / "reports"), source=spark.range(5))
    assert result.status == "published"
    assert lake.versions() == 1


def test_frames_that_cannot_be_published_are_refused_before_they_are_evaluated(spark, lake):
    refused = {
        "it has no columns": spark.range(1).select(),
        "it is a stream": spark.readStream.format("rate").load(),
        "two of its columns are named 'a'": spark.range(1).select(F.lit(1).alias("a"), F.lit(2).alias("A")),
        "its column 'd' is of type interval day": spark.sql("SELECT interval '1' day AS d"),
        "its column 'n' is of type void": spark.sql("SELECT null AS n"),
        "(a type that Delta does not keep|its column 'i' is of type interval)": spark.sql(
            "SELECT make_interval(1) AS i"
        ),
        "its column 'a' is of type array<struct<v:void>>": spark.sql("SELECT array(struct(null AS v)) AS a"),
        f"it has a column '{MALFORMED}'": spark.range(1).withColumnRenamed("id", MALFORMED),
    }
    if SPARK4:
        refused["its column 't' is of type time"] = spark.sql("SELECT time'10:00:00' AS t")
        refused["its column 'c' is of type string collate UTF8_LCASE"] = spark.sql("SELECT 'a' COLLATE UTF8_LCASE AS c")
    for said, frame in refused.items():
        with isolated(spark) as own, pytest.raises(SourceError, match=said):
            evaluated(own, frame, FRAME)


def test_a_frame_goes_with_a_contract_that_says_so_only(spark, lake):
    framed, named = lake.contract(source="{format: frame}").rename(lake.root / "framed.yaml"), lake.contract()
    with pytest.raises(UsageError, match=r"pass its rows by dataward.publish\(contract, source=df\)"):
        dataward.publish(spark, framed)
    with pytest.raises(UsageError, match=r"reads .*source: to publish a DataFrame, write source: \{format: frame\}"):
        dataward.publish(spark, named, source=spark.range(1))
    with pytest.raises(UsageError, match="two contracts were given"):
        dataward.publish(framed, named)
    with pytest.raises(SourceError, match="its rows are with the caller"):
        pin(spark, FRAME)


def test_orc_is_read_and_pinned_by_its_files(spark, tmp_path):
    place = str(tmp_path / "orc")
    spark.range(3).selectExpr("id", "cast(id as string) as s").write.format("orc").save(place)
    found = pin(spark, Source(path=place, format="orc"))
    assert sorted(found.frame.collect()) == [(0, "0"), (1, "1"), (2, "2")]
    assert not found.changed(spark)
    spark.range(3).selectExpr("id", "cast(id as string) as s").write.mode("append").format("orc").save(place)
    assert found.changed(spark)
    assert found.frame.count() == 3


def test_a_reader_that_the_session_lacks_is_named_with_its_coordinate(spark, tmp_path):
    spark.range(3).write.format("orc").save(str(tmp_path / "x"))
    with pytest.raises(
        SourceError, match=r"no reader of format avro. .*--packages org.apache.spark:spark-avro_2.1\d:\d"
    ):
        pin(spark, Source(path=str(tmp_path / "x"), format="avro"))
    assert absent("orc", RuntimeError("Failed to find data source: orc")) is None
    assert absent("avro", RuntimeError("something else")) is None
