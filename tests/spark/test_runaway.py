"""Rules that fail or run away while they are measured: they are named, and the others are judged all the same."""

from datetime import datetime

import pytest

from dataward.quality.judge import judge
from dataward.quality.suite import suite
from dataward.session import TimeIsUp, time_limit

NOW = datetime(2026, 1, 1)


def _judged(spark, frame, rules, **more):
    made, errors = suite(f"Rules = [ {rules} ]")
    assert not errors
    return {
        verdict.rule: (verdict.outcome, verdict.message, verdict.action)
        for verdict in judge(spark, frame, made, NOW, **more).verdicts
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
    frame = spark.range(3000).selectExpr("cast(id as int) as id")
    joins = "primary a cross join primary b cross join primary c cross join primary d"
    slow = f'CustomSql "select count(*) from {joins} where a.id * b.id + c.id * d.id = 7" = 0'
    found = _judged(spark, frame, f'IsComplete "id", {slow}, RowCount = 3000', engine="spark", seconds=3)
    assert found[slow] == ("ERRORED", "stopped after 3 seconds (limits.seconds)", "stop")
    assert found['IsComplete "id"'][0] == found["RowCount = 3000"][0] == "PASSED"


def test_a_time_limit_leaves_no_trace_on_the_session(spark):
    context = spark.sparkContext
    before = context.getLocalProperty("spark.job.interruptOnCancel"), set(context.getJobTags())
    with time_limit(spark, 60):
        assert spark.range(10).count() == 10
        assert len(context.getJobTags()) == len(before[1]) + 1
    with pytest.raises(TimeIsUp), time_limit(spark, 1):
        spark.range(10**6).crossJoin(spark.range(10**7).toDF("b")).where("id * b = -1").count()
    assert (context.getLocalProperty("spark.job.interruptOnCancel"), set(context.getJobTags())) == before
    assert spark.range(10).count() == 10
