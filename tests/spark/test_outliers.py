"""Outliers: fences by group, rows winsorised or diverted, as a treatment and as a rule."""

import pytest

from dataward.quality.spread import Fences, Spreads
from tests.spark.treated import done, rows, treated

pytestmark = pytest.mark.long

GROUPS = [(n, "a", float(n % 10)) for n in range(100)] + [(100 + n, "b", 1000.0 + n % 10) for n in range(100)]

ODD = [*GROUPS, (200, "a", 1000.0), (201, "b", 5.0), (202, "a", float("nan")), (203, "a", None), (204, "c", 9.9)]


@pytest.mark.parametrize("method", ["iqr", "zscore", "mad"])
def test_fences_per_group(spark, method):
    frame = spark.createDataFrame(ODD, "id int, g string, v double")
    found = treated(frame, outliers={"v": {"method": method, "per": ["g"], "do": "divert"}})
    assert rows(found.diverted, "id") == [(200,), (201,), (202,)]


def test_several_columns_and_groupings_are_measured_in_one_job(spark, jobs_of):
    frame = spark.createDataFrame(ODD, "id int, g string, v double").coalesce(1)
    fences = [
        Fences("v"),
        Fences("v", "mad", per=("g",)),
        Fences("id", "zscore"),
        Fences("id", per=("g",), skewed=True),
    ]
    with jobs_of() as told:
        spread = Spreads.measured(frame, fences, [("v", ("g",)), ("id", ())]).held()
    assert told["jobs"] == 1
    assert spread.frame.count() == 4
    spread.release()


@pytest.mark.parametrize("kind", ["double", "float", "int", "decimal(8,1)"])
def test_winsorised_numbers_lie_within_the_fences_that_they_were_beyond(spark, kind):
    frame = spark.createDataFrame(
        [(n, n % 7 + n % 3 * 0.1) for n in range(50)] + [(50, 990.0), (51, -990.0)], "id int, v double"
    )
    frame = frame.selectExpr("id", f"cast(v as {kind}) v")
    once = treated(frame, outliers={"v": {"do": "winsorise"}})
    assert once.frame.dtypes == frame.dtypes + [(name, "string") for name in once.internal]
    again = treated(once.frame.select("id", "v"), spreads=once.spreads, outliers={"v": {"do": "divert"}})
    assert again.diverted.count() == 0
    assert rows(once.frame.where("id < 50"), "id", "v") == rows(frame.where("id < 50"), "id", "v")


@pytest.mark.parametrize("engine", ["deequ", "spark"])
@pytest.mark.parametrize(
    ("treat", "status", "failed"), [("{}", "stopped", 2), ("{outliers: {v: {do: 'null'}}}", "published", 0)]
)
def test_outliers_as_a_rule_before_and_after_treatment(lake, engine, treat, status, failed):
    lake.source([(n, float(n % 10)) for n in range(100)] + [(100, 1000.0), (101, -1000.0)], "id int, v double")
    extra = f"quarantine: {{{{path: {{root}}/quarantine}}}}\nengine: {engine}"
    result = lake.publish(rules='NoOutliers "v" with threshold > 0.99', treat=treat, extra=extra)
    assert result.status == status
    assert result.verdicts[0]["failed_rows"] == failed
    if treat != "{}":
        assert result.verdicts_before[0]["failed_rows"] == 2
        assert done(result) == {("outliers.v", "v", "high"): 1, ("outliers.v", "v", "low"): 1}


def test_a_rule_about_outliers_diverts_them(lake):
    lake.source([(n, float(n % 10)) for n in range(100)] + [(100, 1000.0)], "id int, v double")
    result = lake.publish(rules='NoOutliers "v" with method = "mad"')
    assert result.rows == {"in": 101, "published": 100, "quarantined": 1, "dropped": 0}
