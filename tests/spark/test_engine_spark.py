"""Engine ``spark``: one scan and one shuffle whatever the rules, and a recheck where hashes could mislead."""

import math

import pytest

from dataward.quality.engines import groups, scan
from dataward.quality.engines import spark as engine
from dataward.quality.engines.copies import measured_copies
from dataward.quality.explain import explain
from dataward.quality.metrics import Metric, Values
from dataward.quality.suite import suite
from tests.installed import DEFAULT
from tests.spark.test_judge import NOW, judged

SCANNED = ['IsComplete "a"', 'Mean "n" > 0', 'ColumnValues "a" in ["x", "y"]', "RowCount > 1", 'Completeness "b" > 0.1', 'Sum "n" > 1',
           'ColumnLength "b" < 9', 'StandardDeviation "n" > 0', 'ColumnCorrelation "n" "m" > 0', '(IsComplete "a") or (IsComplete "b")']  # fmt: skip
GROUPED = ['IsUnique "n"', 'IsUnique "a" "b"', 'Uniqueness "a" > 0', 'DistinctValuesCount "b" > 1', 'Entropy "a" > 0', 'UniqueValueRatio "m" > 0',
           'IsPrimaryKey "n" "m"', 'IsUnique "a" where "n > 1"']  # fmt: skip


@pytest.fixture(scope="module")
def frame(spark):
    return (
        spark.range(60)
        .selectExpr("id n", "id * 1.5 m", "concat('k', id % 20) a", "if(id % 7 = 0, null, cast(id % 5 as string)) b")
        .cache()
    )


def test_passes_do_not_grow_with_the_rules(spark, frame, jobs_of):
    frame.count()
    jobs = {}
    for name, rules in (
        ("scan", SCANNED[:1]),
        ("scans", SCANNED),
        ("shuffle", GROUPED[:1]),
        ("all", SCANNED + GROUPED),
    ):
        with jobs_of() as told:
            judged(spark, frame, ", ".join(rules), "spark")
        jobs[name] = told["jobs"]
    assert jobs["scans"] == jobs["scan"] <= 2
    assert jobs["all"] == jobs["shuffle"] <= jobs["scan"] + 3


def test_explained(spark):
    made, _ = suite(f"Rules = [ {', '.join(SCANNED + GROUPED)} ]")
    assert str(explain(made, "spark", NOW)) == "18 rules: 1 scan, 1 shuffle"
    assert str(explain(made, "deequ", NOW)) == "18 rules: 1 scan, 7 shuffles"
    more, _ = suite(
        'Rules = [ (IsUnique "n") or (IsComplete "a"), ReferentialIntegrity "a" "r.a" = 1, CustomSql "select 1" = 1, '
        'ColumnCount = 4, FileSize "x" > 1 B, (RowCount > 1) and (RowCountMatch "r" = 1) ]'
    )
    told = explain(more, "spark", NOW)
    assert str(told) == "6 rules: 1 scan, 2 joins, 3 probes"
    assert [how for _, how in told.steps] == [
        "scan after join",
        "scan after join",
        "query",
        "schema",
        "files",
        "scan, reference",
    ]


@pytest.mark.parametrize(("rule", "outcome", "measured"), [
    ('IsUnique "a"', "PASSED", 1), ('IsPrimaryKey "a"', "PASSED", 1), ('DistinctValuesCount "a" = 8', "PASSED", 8),
    ('Uniqueness "a" > 0.99', "PASSED", 1), ('UniqueValueRatio "a" = 1', "PASSED", 1), ('Entropy "a" > 2', "PASSED", math.log(8)),
    ('(RowCount > 1) and (IsUnique "a")', "PASSED", None), ('DistinctValuesCount "a" > 100', "FAILED", 4),
])  # fmt: skip
def test_where_a_collision_could_change_the_verdict_keys_are_counted_exactly(
    spark, monkeypatch, rule, outcome, measured
):
    frame = spark.range(8).selectExpr("concat('k', id) a").cache()
    monkeypatch.setattr(
        groups, "_code", lambda grouping, types, salt: "cast(substr(a, 2) as bigint) % 4"
    )  # all collide
    monkeypatch.setattr(groups, "_collisions", lambda keys: 4)
    rechecked = []
    exactly = engine.exactly
    monkeypatch.setattr(engine, "exactly", lambda *arguments: rechecked.append(1) or exactly(*arguments))
    verdict = judged(spark, frame, rule, "spark")[1].verdicts[0]
    assert (verdict.outcome, verdict.measured) == (outcome, measured if measured is None else pytest.approx(measured))
    assert rechecked == ([] if outcome == "FAILED" else [1])  # no number of collisions makes 4 keys 100


def test_whole_numbers_and_dates_are_their_own_code(spark):
    kinds = ["tinyint", "smallint", "int", "bigint", "date", "timestamp", "boolean"]
    frame = spark.range(1).selectExpr(
        *[f"cast(null as {kind}) {kind}" for kind in kinds], "'x' text", "struct(1 q) nested"
    )
    types = {field.name: field.dataType.typeName() for field in frame.schema.fields}
    own = [name for name in frame.columns if groups.own_code(groups.Grouping((name,), None), types)]
    assert own == kinds


def test_hashed_keys_keep_nulls_and_nested_values_apart(spark):
    rows = "(null, 'a', struct(null, 1), array(null, 1)), ('a', null, struct(1, null), array(1, null)), ('a', 'a', null, null)"
    frame = spark.sql(f"select * from values {rows} as t(x, y, s, l)")
    metrics = [Metric("distinct_count", columns) for columns in (("x", "y"), ("s",), ("l",))]
    found = engine.measure(frame, metrics)
    assert [found[metric] for metric in metrics] == [3, 2, 2]
    assert engine.exactly(frame, metrics) == found


def test_how_many_collisions_are_possible():
    for keys, most in ((0, 0), (1, 0), (100, 0), (10**5, 1), (10**6, 1), (10**9, 7)):
        expected = keys**2 / 2**65
        assert groups._collisions(keys) == most
        assert expected ** (most + 1) / math.factorial(most + 1) < 2**-50
        assert most == 0 or expected**most / math.factorial(most) >= 2**-50


def test_very_many_rules_on_few_values_come_to_the_same(spark, monkeypatch):
    frame = spark.range(400).selectExpr(
        "if(id % 9 = 0, null, id % 7) few",
        "array(-0.0d, 0.0d, cast('NaN' as double), 1.5d, null)[cast(id % 5 as int)] number",
        "if(id % 4 = 0, null, concat('t', id % 3)) text",
        "id many",
    )
    rules = [
        rule.format(n=n)
        for n in range(30)
        for rule in (
            'ColumnValues "few" < {n}', 'ColumnValues "few" not in [{n}, 3]', 'ColumnValues "number" >= {n}', 'ColumnLength "text" > {n}',
            'ColumnValues "text" in ["t{n}", "t1"]', 'ColumnValues "many" > {n}', 'ColumnValues "number" matches "-?{n}.*"',
        )
    ]  # fmt: skip
    rules += ['IsComplete "few"', 'ColumnValues "few" > 2 where "many > 9"', "RowCount > 1"]
    asked = []
    of_few = scan._of_few_values
    monkeypatch.setattr(scan, "_of_few_values", lambda *given: asked.append(of_few(*given)) or asked[-1])
    together = judged(spark, frame, ", ".join(rules), "spark")[1]
    assert {name: len(forms) for name, forms in asked[0].items()} == {"few": 61, "number": 30, "text": 60}
    monkeypatch.setattr(scan, "MANY", 10_000)
    one_by_one = judged(spark, frame, ", ".join(rules), "spark")[1]
    assert asked[1] == {}
    assert together.verdicts == one_by_one.verdicts


def test_what_counting_keys_tells_anyway_is_not_scanned(spark, frame, monkeypatch):
    rules = 'IsComplete "b", Completeness "b" > 0.1, IsUnique "b", IsComplete "a", Uniqueness "a" >= 0, IsComplete "n" where "m > 3"'
    plain = [(v.rule, v.outcome, v.measured, v.failed_rows) for v in judged(spark, frame, rules, DEFAULT)[1].verdicts]
    scanned, scan_of = [], engine._scan
    monkeypatch.setattr(engine, "_scan", lambda frame, some: scanned.append(some) or scan_of(frame, some))

    def told():
        return [
            (v.rule, v.outcome, v.measured, v.failed_rows) for v in judged(spark, frame, rules, "spark")[1].verdicts
        ]

    assert told() == [(rule, outcome, pytest.approx(measured), failed) for rule, outcome, measured, failed in plain]
    assert {metric.columns for metric in scanned[0]} == {(), ("n",)}
    scanned.clear()
    monkeypatch.setattr(
        engine, "_counted", lambda frame, metrics, *rest: (Values({}, dict.fromkeys(metrics, "no")), {})
    )
    assert [outcome for _, outcome, _, _ in told()] == ["FAILED", "PASSED", "ERRORED", "PASSED", "ERRORED", "PASSED"]
    assert {metric.columns for metric in scanned[1]} == {(), ("a",), ("b",)}


def test_variants_of_a_frame_are_measured_together_as_each_is_alone(spark, jobs_of):
    frame = spark.sql(
        "select * from values (1, 'a', 1.5d), (2, 'a', null), (3, null, 2.5d), (3, 'b', 4.0d) as t(id, name, x)"
    )
    frames = [frame, frame.where("id < 3"), frame.unionAll(frame.where("id = 1")), frame.withColumn("x", frame.x * 100)]
    text = 'IsUnique "id", IsComplete "name", Mean "x" > 0, DistinctValuesCount "name" > 1, Entropy "name" > 0, Uniqueness "id" "name" > 0.5'
    wanted = [Metric("size"), *(metric for rule in suite(f"Rules = [{text}]")[0].rules for metric in rule.metrics(NOW))]
    with jobs_of() as told:
        found = measured_copies(frames, wanted)
    assert told["jobs"] <= 3
    for values, one in zip(found, frames, strict=True):
        alone = engine.measure(one, wanted)
        assert {metric: values[metric] for metric in wanted} == pytest.approx(
            {metric: alone[metric] for metric in wanted}
        )
    assert Metric("size") not in measured_copies([frame, frame.limit(0)], wanted)[1]
