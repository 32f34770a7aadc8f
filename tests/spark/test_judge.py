"""Rules on real Deequ: measured values, null semantics, and the law that a row rule equals the mean of its rows."""

from collections import Counter
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataward.quality.flags import with_flags
from dataward.quality.judge import Options, judge
from dataward.quality.split import failed_rows, split
from dataward.quality.suite import Suite, suite
from tests.installed import DEFAULT

NOW = datetime(2026, 11, 22, 12, 0, 0)

ROWS = [
    (1, "ada@x.org", 30, 1.5, "2026-11-22 11:00:00", "10"),
    (2, "bob@x.org", 41, 2.5, "2026-11-20 12:00:00", "x"),
    (3, "bob@x.org", None, -2.0, None, "2020-02-30"),
    (4, None, 12, 4.0, "2026-11-22 12:00:00", None),
    (4, "", 41, None, "2026-01-01 00:00:00", "2020-02-29"),
]
SCHEMA = "id int, mail string, age int, score double, at string, raw string"


@pytest.fixture(scope="module")
def people(spark):
    frame = spark.createDataFrame(ROWS, SCHEMA).selectExpr(
        "id", "mail", "age", "score", "raw", "cast(at as timestamp) at"
    )
    frame.cache().count()  # else the first to read it starts one job more
    return frame


def judged(spark, frame, text, engine=DEFAULT, **more):
    made, errors = suite(f"Rules = [ {text} ]")
    assert not errors, errors
    return made.rules, judge(spark, frame, made, NOW, Options(engine, **more))


CASES = [
    ("RowCount = 5", 5, "PASSED", None),
    ('RowCount > 2 where "age > 20"', 3, "PASSED", None),
    ('Completeness "mail" > 0.8', 0.8, "FAILED", None),
    ('Completeness "mail" >= 0.8', 0.8, "PASSED", None),
    ('Completeness "mail" = 1 where "id < 4"', 1, "PASSED", None),
    ('IsComplete "mail"', 0.8, "FAILED", 1),
    ('IsComplete "mail" with threshold > 0.7', 0.8, "PASSED", 1),
    ('IsComplete "mail" with threshold > 0.9', 0.8, "FAILED", 1),
    ('IsUnique "id"', 0.6, "FAILED", 2),
    ('IsUnique "mail"', 0.5, "FAILED", 2),
    ('IsUnique "id" "mail"', 1, "PASSED", 0),
    ('IsUnique "id" where "id < 4"', 1, "PASSED", 0),
    ('IsPrimaryKey "id"', 0.6, "FAILED", 2),
    ('IsPrimaryKey "mail"', 0.4, "FAILED", 3),
    ('IsPrimaryKey "id" "mail"', 0.8, "FAILED", 1),
    ('Uniqueness "mail" > 0.4', 0.5, "PASSED", None),
    ('Uniqueness "id" "age" = 1', 1, "PASSED", None),
    ('DistinctValuesCount "mail" = 3', 3, "PASSED", None),
    ('Mean "age" between 30 and 32', 31, "PASSED", None),
    ('Sum "score" = 6', 6, "PASSED", None),
    ('StandardDeviation "score" between 2.2 and 2.3', 2.2079402, "PASSED", None),
    ('ColumnCorrelation "id" "score" < 1', 0.1519, "PASSED", None),
    ('Entropy "age" > 1', 1.0397, "PASSED", None),
    ('ColumnExists "MAIL"', 1, "PASSED", None),
    ('ColumnExists "email"', 0, "FAILED", None),
    ('ColumnValues "age" > 20', 0.6, "FAILED", 2),
    ('ColumnValues "age" != 41', 0.6, "FAILED", 2),
    ('ColumnValues "age" not in [41, NULL]', 0.4, "FAILED", 3),
    ('ColumnValues "age" in [41, 12, NULL]', 0.8, "FAILED", 1),
    ('ColumnValues "age" between 12 and 41', 0.2, "FAILED", 4),
    ('ColumnValues "mail" matches "@x[.]org$"', 0.6, "FAILED", 2),
    ('ColumnValues "mail" = EMPTY', 0.2, "FAILED", 4),
    ('ColumnValues "age" > 20 where "age is not null"', 0.75, "FAILED", 1),
    ('ColumnValues "at" > (now() - 3 days)', 0.6, "FAILED", 2),
    ('ColumnValues "at" >= "2026-11-20"', 0.6, "FAILED", 2),
    ('ColumnLength "mail" < 6', 0.4, "FAILED", 3),
    ('ColumnDataType "raw" = "Date"', 0.25, "FAILED", 3),
    ('ColumnDataType "raw" = "INTEGER"', 0.25, "FAILED", 3),
    ('DataFreshness "at" <= 24 hours', 0.4, "FAILED", 3),
    ('DataFreshness "at" between 1 days and 3 days', 0.2, "FAILED", 4),
    ('CustomSql "select count(*) from primary where age > 40" = 2', 2, "PASSED", None),
    ('CustomSql "select max(age) from primary where age > 400" = 2', None, "FAILED", None),
    ('CustomSql "select id from primary" = 2', None, "ERRORED", None),
    ('CustomSql "select mail from primary limit 1" = 2', None, "ERRORED", None),
    ('Mean "mail" > 2', None, "ERRORED", None),
    ('Mean "age" > 2 where "id > 99"', None, "FAILED", None),
    ('IsComplete "age" where "id > 99"', None, "SKIPPED", 0),
    ('(ColumnValues "age" > 20) or (ColumnValues "age" = NULL)', 0.8, "FAILED", 1),
    ('(IsUnique "id") or (IsComplete "score")', 0.8, "FAILED", 1),
    ('(IsComplete "mail") and (IsComplete "age")', 0.6, "FAILED", 2),
    ('(RowCount > 3) and (IsComplete "id")', None, "PASSED", None),
    ('(RowCount > 9) or (IsComplete "mail")', None, "FAILED", None),
]  # fmt: skip


@pytest.fixture(scope="module", params=["deequ", "spark"])
def verdicts(spark, people, request):
    """All cases as one suite: that they do not disturb each other is part of the test."""
    _, judgement = judged(spark, people, ",\n".join(case[0] for case in CASES), request.param)
    return dict(zip([case[0] for case in CASES], judgement.verdicts, strict=True))


@pytest.mark.parametrize(("text", "measured", "outcome", "failed"), CASES)
def test_rule(verdicts, text, measured, outcome, failed):
    verdict = verdicts[text]
    assert (verdict.outcome, verdict.failed_rows) == (outcome, failed), verdict
    assert verdict.measured == (None if measured is None else pytest.approx(measured, abs=1e-4))


@pytest.mark.parametrize(("text", "action"), [
    ('IsComplete "mail"', "quarantine"),
    ('IsComplete "mail" with threshold > 0.7', "quarantine"),
    ('IsComplete "mail" with threshold > 0.9', "stop"),
    ('IsComplete "mail" labels=["severity"="warning"]', "warn"),
    ("RowCount > 9", "stop"),
    ('RowCount > 9 labels=["severity"="warning"]', "warn"),
    ('CustomSql "select nonsense from primary" = 1', "stop"),
    ('(RowCount > 9) or (IsComplete "mail")', "stop"),
    ('IsComplete "id"', "none"),
])  # fmt: skip
def test_action(spark, people, text, action):
    _, judgement = judged(spark, people, text)
    assert judgement.verdicts[0].action == action
    assert judgement.stops == (action == "stop")
    assert len(judgement.diverting) == (1 if action in ("quarantine",) or "0.9" in text else 0)


def test_an_empty_frame(spark, people):
    text = ", ".join(
        (
            "RowCount = 0",
            'IsComplete "id"',
            'IsUnique "id"',
            'IsPrimaryKey "id"',
            'Mean "age" > 1',
            'Completeness "id" = 1',
        )
    )
    _, judgement = judged(spark, people.limit(0), text)
    assert judgement.rows == 0
    assert [verdict.outcome for verdict in judgement.verdicts] == [
        "PASSED",
        "SKIPPED",
        "SKIPPED",
        "SKIPPED",
        "FAILED",
        "FAILED",
    ]


def test_odd_column_names(spark):
    frame = spark.sql("select 1 as `order-id`, 2.0 as `a.b`, null as `tick``ed` union all select 1, 4.0, null")
    text = 'IsUnique "order-id", Mean "a.b" = 3, Sum "order-id" = 2, IsComplete "tick`ed", Completeness "a.b" = 1'
    _, judgement = judged(spark, frame, text)
    assert [(v.outcome, v.measured) for v in judgement.verdicts] == [
        ("FAILED", 0), ("PASSED", 3), ("PASSED", 2), ("FAILED", 0), ("PASSED", 1)]  # fmt: skip


def test_nan_is_no_measured_value(spark):
    frame = spark.sql("select double('nan') as a")
    _, judgement = judged(spark, frame, 'Mean "a" > 1')
    assert (judgement.verdicts[0].outcome, judgement.verdicts[0].measured) == ("ERRORED", None)


def test_one_scan_and_one_grouping_for_many_rules(spark, people, jobs_of):
    few = 'IsComplete "id", ColumnValues "age" > 1'
    many = few + ', Mean "age" > 1, Sum "score" > 1, ColumnLength "mail" > 1, IsComplete "raw", Completeness "at" > 0.1'
    with jobs_of() as one:
        judged(spark, people, few)
    with jobs_of() as other:
        judged(spark, people, many)
    assert one["jobs"] == other["jobs"] <= 2
    with jobs_of() as unique:
        judged(spark, people, many + ', IsUnique "id"')
    with jobs_of() as shared:  # the same key is grouped once, whoever asks
        judged(spark, people, many + ', IsUnique "id", IsPrimaryKey "id", (RowCount > 1) and (IsUnique "id")')
    assert shared["jobs"] == unique["jobs"] <= other["jobs"] + 6


@pytest.mark.parametrize("engine", ["deequ", "spark"])
def test_keys_are_counted_without_what_is_joined_for_predicates(spark, people, jobs_of, engine):
    keys = 'IsUnique "id", Uniqueness "age" > 0, Entropy "mail" >= 0'
    flagged = '(IsUnique "raw") or (IsComplete "id")'
    told = []
    for rules in (keys, flagged, f"{keys}, {flagged}"):
        with jobs_of() as jobs:
            judged(spark, people, rules, engine)
        told.append(jobs["jobs"])
    assert told[2] < told[0] + told[1]  # there is one scan


values = st.one_of(st.none(), st.sampled_from(["", "a", "b", "ab", " ", "1"]))
RULES = ['IsComplete "a"', 'IsUnique "a"', 'IsUnique "a" "b"', 'IsPrimaryKey "a" "b"', 'ColumnValues "a" in ["a", NULL]', 'ColumnValues "b" > 1',
         'ColumnValues "a" not matches "a"', 'ColumnLength "a" < 2', '(IsUnique "b") or (IsComplete "a")', 'IsUnique "b" where "a is not null"',
         'ColumnDataType "a" = "Integer"', '(IsComplete "a" where "b = 1") and (ColumnValues "b" != 2)']  # fmt: skip


@settings(max_examples=3)
@given(st.lists(st.tuples(values, st.one_of(st.none(), st.integers(0, 3))), min_size=1, max_size=12))
def test_a_row_rules_value_is_the_mean_of_its_rows(spark, rows):
    frame = spark.createDataFrame(rows, "a string, b int").coalesce(1).cache()
    rules, judgement = judged(spark, frame, ", ".join(RULES))
    types = dict(frame.dtypes)
    flagged = with_flags(frame, [flag for rule in rules for flag in rule.flags()], {})
    means = flagged.selectExpr(*[f"avg(cast({rule.typed(types).outcome(NOW)} as int))" for rule in rules]).first()
    good, bad = split(frame, rules, NOW)
    diverted = bad.collect()
    assert good.count() + len(diverted) == len(rows) == judgement.rows
    failed = Counter(rule for row in diverted for rule in row.failed_rules)
    assert failed_rows(frame, rules, NOW) == len(diverted)
    for rule, verdict, mean in zip(rules, judgement.verdicts, means, strict=True):
        told = (rule.text, rows)
        assert verdict.measured == (mean if mean is None else pytest.approx(mean)), told  # of the rows not skipped
        assert verdict.failed_rows == failed[rule.text], told
    frame.unpersist()


@pytest.mark.deequ
def test_a_users_checks_run_and_keep_no_process_alive(spark, people, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from pydeequ.checks import Check, CheckLevel\n"
        "def checks(spark):\n"
        "    good = Check(spark, CheckLevel.Error, 'mine').hasSize(lambda n: n == 5).isComplete('id')\n"
        "    return [good, Check(spark, CheckLevel.Warning, 'soft').hasCompleteness('mail', lambda c: c > 0.9)]\n"
    )
    judgement = judge(spark, people, Suite(), NOW, Options(checks=f"{tmp_path}/mine.py:checks"))
    told = [(v.kind, v.outcome, v.measured, v.action) for v in judgement.verdicts]
    assert told == [("Check", "PASSED", None, "none")] * 2 + [("Check", "FAILED", 0.8, "warn")]
    server = spark.sparkContext._gateway._callback_server.callback_server_parameters
    assert server.daemonize
    assert server.daemonize_connections
    judge(spark, people, Suite(), NOW, Options(checks=f"{tmp_path}/mine.py:checks"))  # and once more
