"""Deequ's own DQDL evaluator as oracle: every documented example, and generated rules. docs/deviations.md says why it differs."""

import pytest
from hypothesis import Phase, given
from hypothesis import strategies as st

from dataward.quality.judge import Options, judge
from dataward.quality.suite import suite
from tests.cases import cases
from tests.rule_docs import EXAMPLES, reference, table
from tests.spark.test_judge import NOW

pytestmark = pytest.mark.deequ

# Rule -> what Deequ's evaluator says of it: (outcome, measured), or words of its refusal.
DEVIATIONS = {
    'ColumnDataType "raw" = "Date"': ("Failed", 0.2),  # null fails
    'ColumnDataType "age" = "Integer"': ("Failed", 0.8),  # null fails
    'ColumnExists "MAIL"': ("Failed", 0),  # compares case
    'ColumnLength "mail" > 5': ("Failed", 0),  # measures the minimum
    'ColumnValues "age" > 20': ("Failed", 12),  # measures the minimum
    'DistinctValuesCount "mail" = 3': ("Failed", 4),  # null is a value
    'ReferentialIntegrity "id,age" "reference.{id,age}" = 1': ("Failed", 0.6),  # a null key is not found
    'SchemaMatch "reference" = 1': ("Failed", 0),  # different numbers of columns
    'IsPrimaryKey "mail"': ("Failed", 0.5),  # uniqueness and completeness apart
    'IsComplete "mail" with threshold > 0.7': "Threshold condition not supported",
    'IsUnique "id" "mail"': "IsUnique is not valid",
    'Uniqueness "id" "mail" = 1': "Uniqueness is not valid",
    'UniqueValueRatio "id" "mail" = 1': "UniqueValueRatio is not valid",
    'SchemaMatch "reference" = 1 with allowed = ["mail", "score", "at", "raw"]': "Parsing Error",
    'DetectAnomalies "RowCount"': ("Failed", None),  # not evaluated
    'DetectAnomalies "Completeness" "mail" with method = "absolute" with factor = 0.1': ("Failed", None),
    'not (ColumnValues "age" = 12)': "Parsing Error",
    '(ColumnValues "age" > 20) or (ColumnValues "age" = NULL)': ("Failed", 12),  # by column
}
OURS = ("KAnonymity", "LDiversity", "TCloseness", "KMap", "DeltaPresence", "NoDuplicates", "NoOutliers")
NOT_COMPARED = (
    "File",
    "now()",
    "CustomSql",
    "DataFreshness",
    "DatasetMatch",
    *OURS,
)  # other clock, other names, no files


def as_it_prints(rule):
    return rule.replace(", ", ",").replace(") or (", ") OR (").replace(") and (", ") AND (")


def evaluated(spark, frame, rules, references=()):
    """Rule -> (outcome, {metric: value}) of Deequ's evaluator; its frames are Java's."""
    jvm = spark.sparkContext._jvm
    sources = jvm.scala.collection.immutable.Map.Map1(*references) if references else jvm.scala.Predef.Map().empty()
    rows = jvm.com.amazon.deequ.dqdl.EvaluateDataQuality.process(
        frame._jdf, f"Rules = [ {', '.join(rules)} ]", sources
    ).collect()
    converters = jvm.scala.collection.JavaConverters
    return {row.getString(0): (row.getString(1), dict(converters.mapAsJavaMap(row.getMap(3)))) for row in rows}


@pytest.fixture(scope="module")
def people(spark):
    return table(spark).coalesce(1).cache()


COMPARED = [example for example in EXAMPLES if not any(word in example[0] for word in NOT_COMPARED)]


@pytest.fixture(scope="module")
def evaluator(spark, people):
    """What it says of every example that it takes: all in one run."""
    others = ("reference", reference(people)._jdf)
    taken = [rule for rule, _, _ in COMPARED if not isinstance(DEVIATIONS.get(rule), str)]
    return evaluated(spark, people, taken, others)


@pytest.mark.parametrize("example", COMPARED, ids=lambda example: example[0])
def test_documented_example(spark, people, evaluator, example):
    rule, measured, outcome = example
    said = DEVIATIONS.get(rule)
    if isinstance(said, str):
        with pytest.raises(Exception, match=said):
            evaluated(spark, people, [rule], ("reference", reference(people)._jdf))
        return
    theirs, metrics = evaluator[as_it_prints(rule)]
    wanted = said or (outcome.capitalize(), None if measured == "none" else float(measured))
    assert theirs == wanted[0], metrics
    if wanted[1] is not None:
        assert any(value == pytest.approx(wanted[1], abs=1e-4) for value in metrics.values()), metrics


@pytest.mark.parametrize(("rule", "outcome", "theirs"), [
    ('Mean "d" > 0', "FAILED", "Failed"),
    ('Mean "d" > 0 where "i > 0"', "FAILED", "Passed"),
    ('Mean "i" > 0 where "i > 9"', "FAILED", "Passed"),
    ('RowCount > 3 where "d > 9"', "FAILED", "Passed"),
    ('IsUnique "d"', "SKIPPED", "Failed"),
])  # fmt: skip
def test_where_there_is_nothing_to_measure_it_differs(spark, rule, outcome, theirs):
    frame = spark.sql("select 1 as i, cast(null as double) as d")
    made, _ = suite(f"Rules = [ {rule} ]")
    assert judge(spark, frame, made, NOW, Options("spark")).verdicts[0].outcome == outcome
    assert evaluated(spark, frame, [rule]) == {rule: (theirs, {})}


@pytest.mark.parametrize(("rule", "ours", "theirs"), [
    ('ColumnValues "s" > 0', ("PASSED", 1), ("Failed", None)),
    ('ColumnValues "s" in [0.5, 3000000000]', ("PASSED", 1), ("Failed", 0)),
    ('ColumnValues "w" not in [5]', ("FAILED", 0), ("Passed", 1)),
    ('ColumnValues "f" = 0.1', ("PASSED", 1), ("Passed", 0.1)),
    ('ColumnValues "f" in [0.1]', ("PASSED", 1), ("Failed", 0)),
    ('ReferentialIntegrity "id" "r.key" = 0.5', ("PASSED", 0.5), ("Failed", 1.5)),
    ('SchemaMatch "other" = 1', ("FAILED", 0.5), ("Failed", 2 / 3)),
    ('ColumnDataType "d" = "Integer"', ("FAILED", 0), ("Passed", 1)),
    ('ColumnDataType "s" = "Integer"', ("FAILED", 0), ("Passed", 1)),
])  # fmt: skip
def test_comparisons_that_differ(spark, rule, ours, theirs):
    columns = (
        "'0.50' s, 'abc' w, cast(0.1 as float) f, 2.5d d, 1 id",
        "'3000000000' s, 'x' w, cast(0.1 as float) f, 2.5d d, 2 id",
    )
    frame = spark.sql(" union all ".join(f"select {some}" for some in columns))
    keys = spark.sql("select '2' key union all select '02' union all select '2.0'")
    if rule.startswith("SchemaMatch"):
        frame, keys = spark.sql("select 1 x, 2 y, 3 z"), spark.sql("select 1 x, 2 y, 3 w")
    if '"s" = "Integer"' in rule:
        frame = frame.selectExpr("'1.9' s")
    verdict = judge(
        spark, frame, suite(f"Rules = [ {rule} ]")[0], NOW, Options("spark", {"r": keys, "other": keys})
    ).verdicts[0]
    assert (verdict.outcome, verdict.measured) == ours
    alias = "other" if "other" in rule else "r"
    outcome, metrics = next(iter(evaluated(spark, frame, [rule], (alias, keys._jdf)).values()))
    assert (outcome, next(iter(metrics.values()), None)) == (
        theirs[0],
        None if theirs[1] is None else pytest.approx(theirs[1]),
    )


rows = st.lists(
    st.tuples(st.one_of(st.none(), st.integers(-3, 5)), st.one_of(st.none(), st.floats(-100, 100, width=32)),
              st.one_of(st.none(), st.sampled_from(["", "a", "b", "ab", "é"]))), min_size=2, max_size=12)  # fmt: skip
bound = st.tuples(st.sampled_from(["=", ">", ">=", "<", "<="]), st.sampled_from(["0", "1", "0.5", "2"])).map(" ".join)
share = bound.filter(lambda told: not told.endswith(" 2"))
where = st.sampled_from(["", ' where "i > 0"', ' where "s is not null"'])
rule = st.one_of(
    st.tuples(st.sampled_from(["Mean", "Sum", "StandardDeviation"]), st.sampled_from(["i", "d"]), bound, where).map(
        lambda t: f'{t[0]} "{t[1]}" {t[2]}{t[3]}'
    ),
    st.tuples(st.sampled_from(["Completeness", "Uniqueness", "UniqueValueRatio"]), st.sampled_from("ids"), share).map(
        lambda t: f'{t[0]} "{t[1]}" {t[2]}'
    ),
    st.tuples(st.sampled_from("ids"), bound).map(lambda t: f'Entropy "{t[0]}" {t[1]}'),
    st.tuples(st.sampled_from(["IsComplete", "IsUnique", "IsPrimaryKey"]), st.sampled_from("ids")).map(lambda t: f'{t[0]} "{t[1]}"'),
    st.tuples(st.sampled_from(["i", "d"]), bound).map(lambda t: f'ColumnValues "{t[0]}" {t[1]}'),
    st.sampled_from(['ColumnValues "s" in ["a", "b"]', 'ColumnValues "s" not in ["a"]', 'ColumnValues "s" matches "a"',
                     'ColumnValues "s" = NULL', 'ColumnLength "s" < 2', "RowCount > 3", 'RowCount > 2 where "i > 0"']),
)  # fmt: skip


@cases(0.12, derandomize=True, phases=[Phase.generate])
@given(rows, st.lists(rule, min_size=40, max_size=40, unique=True))
def test_generated_rules_come_to_the_same_outcome(spark, data, rules):
    frame = spark.createDataFrame(data, "i int, d double, s string").coalesce(1).cache()
    made, errors = suite(f"Rules = [ {', '.join(rules)} ]")
    assert not errors
    ours = judge(spark, frame, made, NOW, Options("spark")).verdicts
    theirs = evaluated(spark, frame, rules)
    told, compared = [], 0
    for one in ours:
        outcome, metrics = theirs[as_it_prints(one.rule)]
        compared += bool(metrics)  # else it had nothing to measure: docs/deviations.md
        if metrics and outcome != one.outcome.capitalize():
            told.append((one.rule, one.outcome, one.measured, outcome, metrics))
    frame.unpersist()
    assert not told, "\n".join(map(str, [*told, data]))
    assert compared >= 10
