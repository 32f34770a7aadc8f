"""A value against a literal means one thing: in metrics and rows, in both engines, for every type of column."""

import re
from datetime import date, datetime
from decimal import Decimal

import pytest
from hypothesis import Phase, given
from hypothesis import strategies as st

from dataward.keys import open_keys
from dataward.pipeline.plan import plan
from dataward.pipeline.windows import windowed
from dataward.privacy.protect import ColumnPlan
from dataward.quality.conditions import Condition
from dataward.quality.judge import Options, judge
from dataward.quality.split import split
from dataward.quality.suite import suite
from dataward.spark.compare import Value
from tests.cases import cases

NOW = datetime(2026, 11, 22, 12, 0, 0)
SCHEMA = "n int, price string, wide decimal(38,18), big bigint, f float, d double, day date, at timestamp, b boolean, at_text string"
ROWS = [
    (1, "0.50", Decimal("0.1"), 2**53, 0.1, 0.1, date(2024, 1, 1), datetime(2024, 1, 1), True, "2024-01-01"),
    (2, "3000000000", Decimal("99999999999999999999"), 2**53 + 1, 1.5, float("nan"), date(1500, 2, 28),
     datetime(1850, 3, 4, 5, 6, 7), False, "2024-01-01 00:00:01"),
    (3, "1.9", Decimal("-1.000000000000000001"), 2**63 - 1, -0.0, -0.0, date(9999, 12, 31), datetime(9999, 12, 31, 23, 59, 59),
     True, "soon"),
    (4, "1.0", Decimal(1), -(2**63), 0.0, 0.0, date(2024, 1, 2), datetime(2024, 1, 1, 0, 0, 0, 1), None, None),
    (5, "abc", None, 0, float("inf"), float("-inf"), None, None, None, "2026-11-22 13:00:00"),
    (6, None, None, None, None, None, None, None, None, None),
    (7, " 1e400 ", None, 1, 1.0, 9007199254740993.0, None, None, None, "2026-11-22"),
    (8, "9999999999999999999999999999999999999999", None, 2, 2.0, 2.0, None, None, None, ""),
    (9, "10.00000000000000000000000001", None, 3, 3.0, 3.0, None, None, None, "x"),
]  # fmt: skip
CASES = [
    # text that holds numbers
    ('"price" > 0', {1, 2, 3, 4, 7, 8, 9}),
    ('"price" > 10', {2, 7, 8, 9}),
    ('"price" <= 1', {1, 4}),
    ('"price" = 1', {4}),
    ('"price" in [1, 0.5]', {1, 4}),
    ('"price" != 1', {1, 2, 3, 6, 7, 8, 9}),  # 'abc' is no number; null passes, as for every negation
    ('"price" not in [1, 1.90]', {1, 2, 6, 7, 8, 9}),
    ('"price" between 0.4 and 1.95', {1, 3, 4}),
    ('"price" not between 0.4 and 1.95', {2, 6, 7, 8, 9}),
    ('"price" in [1, "abc", NULL]', {4, 5, 6}),
    ('"price" = "1"', set()),  # a text literal is compared as text
    ('"price" > 9999999999999999999999999999999999999', {7, 8}),
    # decimals and whole numbers, beyond what doubles hold
    ('"wide" < 1e20', {1, 2, 3, 4}),
    ('"wide" > 99999999999999999998.9999999999999999999', {2}),
    ('"wide" >= -1.0000000000000000015', {1, 2, 3, 4}),
    ('"wide" < -1', {3}),
    ('"wide" = 0.10', {1}),
    ('"big" = 9007199254740993', {2}),
    ('"big" > 9007199254740992.5', {2, 3}),
    ('"big" < 9223372036854775808', {1, 2, 3, 4, 5, 7, 8, 9}),
    ('"big" != 9007199254740992', {2, 3, 4, 5, 6, 7, 8, 9}),
    ('"big" in ["9007199254740993", 0]', {2, 5}),
    ('"big" = 0.5', set()),
    # floats, NaN and the zeros
    ('"f" = 0.1', {1}),
    ('"f" > 0.1', {2, 5, 7, 8, 9}),
    ('"f" = 0', {3, 4}),
    ('"d" = 0.1', {1}),
    ('"d" = 0', {3, 4}),
    ('"d" > 1e400', {2}),
    ('"d" = "NaN"', {2}),
    ('"d" < 0', {5}),
    # dates and timestamps
    ('"day" = "2024-01-01"', {1}),
    ('"day" in ["2024-01-01", "1500-02-28", "9999-12-31"]', {1, 2, 3}),
    ('"day" < "2024-01-01 00:00:01"', {1, 2}),
    ('"day" != "2024-01-01"', {2, 3, 4, 5, 6, 7, 8, 9}),
    ('"at" = "2024-01-01"', {1}),
    ('"at" in ["2024-01-01", "1850-03-04T05:06:07Z"]', {1, 2}),
    ('"at" != "2024-01-01"', {2, 3, 4, 5, 6, 7, 8, 9}),
    ('"at" = "2024-01-01 01:00:00.000001+01:00"', {4}),
    ('"at" not in ["2024-01-01", NULL]', {2, 3, 4}),
    ('"at_text" > (now() - 1 days)', {5, 7}),
    ('"at_text" != now()', {1, 2, 4, 5, 6, 7}),  # 'soon', '' and 'x' are no timestamps
    # flags
    ('"b" = "true"', {1, 3}),
    ('"b" != 1', {2, 4, 5, 6, 7, 8, 9}),
]


@pytest.fixture(scope="module")
def frame(spark):
    return spark.createDataFrame(ROWS, SCHEMA).coalesce(1).cache()


@pytest.fixture(scope="module")
def made():
    found, errors = suite(f"Rules = [ {', '.join(f'ColumnValues {text}' for text, _ in CASES)} ]")
    assert not errors, vars(errors[0])
    return found


@pytest.mark.parametrize("engine", ["deequ", "spark"])
def test_both_engines_count_the_rows_that_pass(spark, frame, made, engine):
    verdicts = judge(spark, frame, made, NOW, Options(engine)).verdicts
    found = {text: len(ROWS) - verdict.failed_rows for (text, _), verdict in zip(CASES, verdicts, strict=True)}
    assert found == {text: len(passing) for text, passing in CASES}


def test_the_rows_that_are_diverted_are_those_that_fail(frame, made):
    _, bad = split(frame, made.rules, NOW)
    failing = {row.n: set(row.failed_rules) for row in bad.select("n", "failed_rules").collect()}
    for (text, passing), rule in zip(CASES, made.rules, strict=True):
        assert {n for n in range(1, 10) if rule.text not in failing.get(n, ())} == passing, text


def test_windows_count_the_same_rows(lake):
    lake.contract(
        rules='ColumnValues "price" > 0',
        extra="quarantine: {{path: {root}/q}}\nwindows: {{column: at, length: 1 hour}}",
    )
    planned = plan(lake.root / "contract.yaml")
    frame = lake.spark.sql(
        "select timestamp'2026-01-01 10:00:00' at, price from values ('0.50'), ('abc'), ('3000000000') as t(price)"
    )
    columns = ColumnPlan.resolve(planned.contract, open_keys(planned.contract.keys), frame.schema)
    rows = windowed(columns, planned.suite, frame, NOW).where("kind = 'share'").select("count", "total").collect()
    assert [tuple(row) for row in rows] == [(3, 2.0)]


numbers = st.one_of(
    st.decimals(-(10**22), 10**22, allow_nan=False, places=6).map(str),
    st.integers(-(10**40), 10**40).map(str),
    st.tuples(st.integers(-999, 999), st.integers(-30, 45)).map(lambda pair: f"{pair[0]}e{pair[1]}"),
    st.sampled_from(["0.50", "1.0", " 1 ", "+1", "1.", ".5", "-.5", "00012", "3000000000", "1.9", "-0", "0e9"]),
)
texts = st.one_of(
    numbers,
    numbers,
    st.sampled_from(["", " ", "abc", "1 2", "1,5", "1_0", "NaN", "0x10", "1d", "--1", "e5", "٣", None]),
)
literals = st.one_of(
    st.decimals(-(10**9), 10**9, places=4),
    st.integers(-3, 12).map(Decimal),
    st.sampled_from([Decimal("0.5"), Decimal("1e20")]),
)
conditions = st.one_of(
    st.tuples(st.sampled_from(["=", "!=", ">", ">=", "<", "<="]), st.tuples(literals), st.just(False)),
    st.tuples(st.just("in"), st.lists(literals, min_size=1, max_size=3).map(tuple), st.booleans()),
    st.tuples(st.just("between"), st.tuples(literals, literals), st.booleans()),
)


def expected(text, operator, operands, negated):
    """By Python's decimals: None for null, else whether the row passes."""
    negative = negated or operator == "!="
    if text is None:
        return negative
    number = Decimal(text.strip()) if re.fullmatch(r"\s*[+-]?(\d+\.?\d*|\.\d+)(e-?\d+)?\s*", text, re.ASCII) else None
    if number is None:
        return False
    low, *more = operands
    found = {"=": number == low, "!=": number == low, ">": number > low, ">=": number >= low, "<": number < low, "<=": number <= low,
             "in": number in operands, "between": bool(more) and low < number < more[0]}[operator]  # fmt: skip
    return found != negative


@cases(0.05, derandomize=True, phases=[Phase.generate])
@given(st.lists(texts, min_size=40, max_size=40), st.lists(conditions, min_size=20, max_size=20))
def test_text_is_compared_as_python_compares_decimals(spark, data, asked):
    frame = spark.createDataFrame(list(enumerate(data)), "n int, s string").coalesce(1)
    sql = [Condition(*one).sql(Value("`s`", "string"), NOW) for one in asked]
    for row in frame.selectExpr("n", *(f"{text} as c{n}" for n, text in enumerate(sql))).collect():
        found = [row[f"c{n}"] for n in range(len(asked))]
        wanted = [expected(data[row.n], *one) for one in asked]
        assert found == wanted, [
            (data[row.n], str(Condition(*one))) for one, a, b in zip(asked, found, wanted, strict=True) if a != b
        ]
