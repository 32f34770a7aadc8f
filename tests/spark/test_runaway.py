"""Rules that fail or run away while they are measured: they are named, and the others are judged all the same."""

from datetime import datetime

import pytest

from dataward.quality.judge import Options, judge
from dataward.quality.suite import suite
from dataward.spark.session import TimeIsUp, time_limit
from dataward.tables.reason import reason

NOW = datetime(2026, 1, 1)


def _judged(spark, frame, rules, **more):
    made, errors = suite(f"Rules = [ {rules} ]")
    assert not errors
    return {
        verdict.rule: (verdict.outcome, verdict.message, verdict.action)
        for verdict in judge(spark, frame, made, NOW, Options(**more)).verdicts
    }


@pytest.mark.parametrize("engine", ["spark", "deequ"])
def test_a_rule_that_fails_in_the_scan_is_named_and_the_source_is_not_blamed(spark, engine):
    frame = spark.createDataFrame([(1, "a"), (2, "b")], "id int, v string")
    wrong, right = 'Completeness "id" = 1 where "v rlike \'[\'"', 'Completeness "id" = 1'
    found = _judged(spark, frame, f"{wrong}, {right}, RowCount = 2", engine=engine)
    assert found[wrong][0] == "ERRORED"
    assert "a regular expression does not compile" in found[wrong][1]
    assert found[wrong][2] == "stop"
    assert found[right][0] == found["RowCount = 2"][0] == "PASSED"


def test_a_query_that_runs_away_is_stopped_by_name(spark):
    frame = spark.range(2000).selectExpr("cast(id as int) as id")
    joins = "primary a cross join primary b cross join primary c"
    slow = f'CustomSql "select count(*) from {joins} where a.id * b.id + c.id = -7" = 0'
    found = _judged(spark, frame, f'IsComplete "id", {slow}, RowCount = 2000', engine="spark", seconds=3)
    assert found[slow] == ("ERRORED", "stopped after 3 seconds (limits.seconds)", "stop")
    assert found['IsComplete "id"'][0] == found["RowCount = 2000"][0] == "PASSED"


def test_a_time_limit_leaves_no_trace_on_the_session(spark):
    context = spark.sparkContext
    before = context.getLocalProperty("spark.job.interruptOnCancel"), set(context.getJobTags())
    with time_limit(spark, 60):
        assert spark.range(10).count() == 10
        assert len(context.getJobTags()) == len(before[1]) + 1
    with pytest.raises(TimeIsUp), time_limit(spark, 1):
        spark.range(10**5).crossJoin(spark.range(10**5).toDF("b")).where("id * b = -1").count()
    assert (context.getLocalProperty("spark.job.interruptOnCancel"), set(context.getJobTags())) == before
    assert spark.range(10).count() == 10


CANARY = "ada@canary.org"


def _told(what):
    with pytest.raises(Exception) as caught:  # noqa: PT011 - of many kinds
        what()
    return reason(caught.value)


def test_classes_and_names_of_spark_and_delta_come_through_without_values(spark, tmp_path):
    place = str(tmp_path / "t")
    spark.sql(f"create table delta.`{place}` (id int not null, mail string) using delta")
    spark.sql(f"alter table delta.`{place}` add constraint at_work check (mail like '%.com')")
    rows = spark.createDataFrame([(1, CANARY)], "id int, mail string")
    nothing = spark.createDataFrame([(None, "a.com")], "id int, mail string")
    told = {
        "version": _told(lambda: spark.read.format("delta").option("versionAsOf", 99).load(place).count()),
        "null": _told(lambda: nothing.write.format("delta").mode("append").save(place)),
        "check": _told(lambda: rows.write.format("delta").mode("append").save(place)),
        "column": _told(lambda: rows.selectExpr("maill")),
        "function": _told(lambda: rows.selectExpr("soundx(mail)")),
        "path": _told(lambda: spark.read.parquet(f"{tmp_path}/none/mail={CANARY}")),
    }
    assert "there is no such version" in told["version"]
    assert "99" in told["version"]
    assert told["null"].startswith(
        "a column that must not be null would hold null (DELTA_NOT_NULL_CONSTRAINT_VIOLATED; column id"
    )
    assert told["check"].startswith(
        "a CHECK constraint of the table does not hold (DELTA_VIOLATE_CONSTRAINT_WITH_VALUES; constraint at_work"
    )
    assert told["column"].startswith("there is no such column (UNRESOLVED_COLUMN.WITH_SUGGESTION; column maill")
    assert told["function"].startswith("there is no such function (UNRESOLVED_ROUTINE; function soundx")
    assert told["path"].startswith("there is nothing at this path (PATH_NOT_FOUND; path ")
    assert CANARY not in str(told)
