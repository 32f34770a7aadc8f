"""Keys of different types meet where they are exactly equal, each row once: in flags, matches, disclosure and lookups."""

from datetime import date, datetime
from decimal import Decimal

import pytest

from dataward.contract import Join
from dataward.errors import ContractError
from dataward.pipeline.plan import plan
from dataward.privacy.joins import joined
from dataward.quality.flags import Orphan
from dataward.quality.judge import Options, judge
from dataward.quality.suite import suite
from dataward.spark.compare import Incomparable, Value, paired

NOW = datetime(2026, 11, 22, 12, 0, 0)


def outcomes(spark, frame, rules, engine="spark", **references):
    made, errors = suite(f"Rules = [ {', '.join(rules)} ]")
    assert not errors, vars(errors[0])
    judged = judge(spark, frame, made, NOW, Options(engine, references))
    assert judged.rows == frame.count()
    return [(verdict.outcome, verdict.measured, verdict.message) for verdict in judged.verdicts]


@pytest.mark.parametrize("engine", ["deequ", "spark"])
def test_an_int_key_meets_each_of_its_texts_and_no_row_comes_twice(spark, engine):
    frame = spark.createDataFrame([(1,), (2,), (2,), (None,)], "id int")
    texts = spark.createDataFrame([("2",), ("02",), ("2.0",), ("x",), (None,)], "key string")
    found = outcomes(
        spark, frame, ['ReferentialIntegrity "id" "r.key" >= 0.6', "RowCount = 4", 'Mean "id" > 1'], engine, r=texts
    )
    assert found == [
        ("PASSED", pytest.approx(2 / 3), "1 of 3 rows have no match"),
        ("PASSED", 4, ""),
        ("PASSED", pytest.approx(5 / 3), ""),
    ]
    back = outcomes(spark, texts, ['ReferentialIntegrity "key" "r.id" = 0.75'], engine, r=frame)
    assert back == [("PASSED", 0.75, "1 of 4 rows have no match")]


PAIRS = [
    (("int", 2), ("string", "2.0"), True),
    (("int", 2), ("string", "2.5"), False),
    (("bigint", 2**53 + 1), ("double", float(2**53)), False),
    (("bigint", 2**53 + 1), ("string", "9007199254740993"), True),
    (("decimal(5,2)", Decimal("1.50")), ("decimal(10,4)", Decimal("1.5000")), True),
    (("decimal(5,2)", Decimal("1.50")), ("decimal(10,4)", Decimal("1.5001")), False),
    (("decimal(38,18)", Decimal("0.1")), ("float", 0.1), True),
    (("float", 0.1), ("double", 0.1), True),
    (("double", 0.1), ("string", "1e-1"), True),
    (("double", float("nan")), ("string", "NaN"), False),
    (("int", 2), ("double", 2.5), False),
    (("date", date(2024, 1, 1)), ("string", "2024-01-01"), True),
    (("date", date(2024, 1, 1)), ("string", "2024-01-01 10:00:00"), False),
    (("date", date(2024, 1, 1)), ("timestamp", datetime(2024, 1, 1)), True),
    (("timestamp", datetime(1850, 1, 1, 1)), ("string", "1850-01-01T01:00:00Z"), True),
    (("tinyint", 3), ("bigint", 3), True),
]  # fmt: skip


def test_values_of_two_types_are_equal_where_they_are(spark):
    fields = [f"{side}{n} {pair[which][0]}" for n, pair in enumerate(PAIRS) for which, side in enumerate("ab")]
    frame = spark.createDataFrame([tuple(pair[side][1] for pair in PAIRS for side in (0, 1))], ", ".join(fields))
    asked = []
    for number, (one, other, _) in enumerate(PAIRS):
        here, there = paired(Value(f"a{number}", one[0]), Value(f"b{number}", other[0]))
        asked.append(f"coalesce({here} = {there}, false)")
    found = frame.selectExpr(*asked).first()
    assert [(*pair[:2], is_equal) for pair, is_equal in zip(PAIRS, found, strict=True)] == PAIRS


@pytest.mark.parametrize(("here", "there"), [
    ("decimal(38,0)", "decimal(38,38)"), ("string", "boolean"), ("struct<a:int>", "string"), ("binary", "string"), ("int", "date"),
])  # fmt: skip
def test_types_without_a_common_one_are_refused(here, there):
    with pytest.raises(Incomparable, match="no type in which they could be compared exactly"):
        paired(Value("a", here), Value("b", there))


def test_the_flag_refuses_before_anything_is_read(spark):
    frame, other = spark.range(1).selectExpr("id", "true as b"), spark.range(1).selectExpr("'x' as key")
    with pytest.raises(Incomparable):
        Orphan(("b",), "r", ("key",)).fit(frame, {"r": other})


@pytest.mark.parametrize(("rule", "words"), [
    ('ColumnValues "n" = "abc"', "column `n` is int: it is not compared with 'abc'.*compare it with a number"),
    ('ColumnValues "day" in ["2024-01-01", "2024-13-01"]', "not compared with '2024-13-01'.*such as \"2026-01-31\""),
    ('(IsComplete "n") or (ColumnValues "day" > 5)', "column `day` is date: it is not compared with 5"),
    ('ReferentialIntegrity "n" "other.flag" = 1', "`n` \\(int\\) and `flag` \\(boolean\\) have no type"),
])  # fmt: skip
def test_what_means_nothing_beside_a_type_is_refused_before_the_run(lake, rule, words):
    lake.source([(1, date(2024, 1, 1))], "n int, day date")
    lake.source([(True,)], "flag boolean", "other")
    extra = "references: {{other: {{path: {root}/other}}}}"
    with pytest.raises(ContractError, match=words):
        lake.publish("r1", rules=rule, extra=extra)
    assert not (lake.root / "target").exists()


def test_dataset_match_of_other_decimals_and_texts(spark):
    frame = spark.createDataFrame([(1, Decimal("1.50")), (2, Decimal("2.25"))], "id int, price decimal(5,2)")
    other = spark.createDataFrame(
        [("01", Decimal("1.5000")), ("2.0", Decimal("2.2500"))], "id string, price decimal(10,4)"
    )
    odd = other.selectExpr("id", "true as price")
    rules = ['DatasetMatch "r" "id" = 1', 'DatasetMatch "odd" "id" = 1']
    same, refused = outcomes(spark, frame, rules, r=other, odd=odd)
    assert same == ("PASSED", 1, "2 of 2 rows match")
    assert refused[0] == "ERRORED"
    assert "no type in which they could be compared" in refused[2]


def test_the_join_contract_counts_each_value_once(lake):
    other = plan(lake.contract(rules="RowCount > 0")).contract
    keys = lake.spark.sql("select explode(array('2', '02', '2.0', 'x')) key")
    keys.write.format("delta").save(str(lake.root / "target"))
    join = Join.model_validate({"column": "id", "with": "other.yaml", "its": "key", "share": 0.5})
    found = joined(lake.spark, lake.spark.sql("select explode(array(2, 3)) id"), join, other)
    assert (found.values, found.share, found.holds) == (2, 0.5, True)
    flags = joined(lake.spark, lake.spark.sql("select true id"), join, other)
    assert not flags.holds
    assert "no type in which they could be compared" in flags.message


def test_disclosure_over_columns_named_as_ours(spark):
    frame = spark.createDataFrame([(1, 1, "a"), (1, 1, "b"), (2, 2, "a"), (2, 2, "a")], "count int, q0 int, l string")
    people = spark.createDataFrame([("1", "01")] * 3 + [("2.0", "2")] * 4, "count string, q0 string")
    rules = ['KAnonymity "count" "q0" >= 2', 'LDiversity "count" "l" >= 1', 'LDiversity "l" "count" >= 1', 'TCloseness "count" "l" <= 1',
             'KMap "count" "q0" "r" >= 3', 'DeltaPresence "count" "q0" "r" < 0.7', 'IsUnique "count" with threshold < 1']  # fmt: skip
    found = outcomes(spark, frame, rules, r=people)
    assert [one[0] for one in found] == ["PASSED"] * len(rules)
    assert [one[1] for one in found] == [2, 1, 1, pytest.approx(0.25), 3, pytest.approx(2 / 3), 0]
