"""Sums and queries beyond 2^53, and what profile and suggest do there: exact, or refused by name; dates of every year."""

from datetime import date, datetime
from decimal import Decimal

import pytest

from dataward.contract import Source
from dataward.quality.judge import Options, judge
from dataward.quality.suite import suite
from dataward.spark.session import isolated
from dataward.verbs.profile import profile
from dataward.verbs.suggest import suggest
from tests.installed import ENGINES

NOW = datetime(2026, 11, 22, 12, 0, 0)
BIG = 2**53


@pytest.mark.parametrize("engine", ["deequ", "spark"])
def test_sums_are_exact_or_refused(spark, engine):
    rows = [(BIG + 1, Decimal("0.10"), BIG), (-BIG, Decimal("0.20"), 1), (None, None, None)]
    frame = spark.createDataFrame(rows, "apart bigint, money decimal(12,2), wide bigint")
    cases = [
        ('Sum "apart" = 1', "PASSED"),
        ('Sum "money" = 0.3', "PASSED"),
        ('Sum "money" = 0.2 where "money > 0.1"', "PASSED"),
        ('Sum "wide" = 9007199254740993', "ERRORED"),
        ('Sum "wide" > 9007199254740992', "ERRORED"),
        ('Sum "wide" > 9000000000000000', "PASSED"),
        ('CustomSql "select sum(cast(wide as decimal(38,0))) from primary" = 9007199254740993', "PASSED"),
        ('CustomSql "select sum(wide) from primary" > 9007199254740992', "PASSED"),
        ('CustomSql "select sum(wide) from primary" = 9007199254740992', "FAILED"),
        ('Mean "text" > 1', "ERRORED"),
    ]
    made, errors = suite(f"Rules = [ {', '.join(rule for rule, _ in cases)} ]")
    assert not errors, vars(errors[0])
    verdicts = judge(spark, frame.selectExpr("*", "'1' as text"), made, NOW, Options(engine)).verdicts
    assert [(verdict.rule, verdict.outcome) for verdict in verdicts] == cases, verdicts
    assert "CustomSql" in verdicts[3].message
    assert "give source.schema" in verdicts[-1].message


def test_a_sum_that_overflows_is_one_of_doubles(spark):
    frame = spark.createDataFrame([(2**63 - 1,)] * 3, "n bigint")
    made, _ = suite('Rules = [ Sum "n" > 2.7e19, Sum "n" < 2.8e19 ]')
    for engine in ENGINES:
        assert [one.outcome for one in judge(spark, frame, made, NOW, Options(engine)).verdicts] == ["PASSED"] * 2


SCHEMA = "id bigint, day date, at timestamp, d double, wide decimal(38,18), big bigint"
ROWS = [
    (1, date(1, 1, 1), datetime(1, 1, 1), -0.0, Decimal("0.000000000000000001"), 2**63 - 1),
    (2, date(1582, 10, 4), datetime(1582, 10, 4, 1, 2, 3, 4), 0.0, Decimal("99999999999999999999"), -(2**63)),
    (3, date(1582, 10, 15), datetime(1850, 6, 1), float("nan"), Decimal(0), BIG + 1),
    (4, date(1899, 12, 31), datetime(1899, 12, 31, 23, 59, 59), float("inf"), None, BIG),
    (5, date(9999, 12, 31), datetime(9999, 12, 31, 23, 59, 59, 999999), 1.0, Decimal(-1), 0),
]
RULES = (
    'IsPrimaryKey "id",\nColumnValues "day" in ["0001-01-01", "1582-10-04", "1582-10-15", "1899-12-31", "9999-12-31"],\n'
    'ColumnValues "at" <= "9999-12-31 23:59:59.999999",\nColumnValues "big" != 9007199254740994,\nIsUnique "d" with threshold > 0.5'
)


def source(lake, times=1, more=()):
    """ROWS as a Delta table: by Spark's own session they could not be written, by one of ours they can."""
    kinds = dict(field.split(" ") for field in SCHEMA.split(", "))
    texts = [tuple(str(cell) if cell is not None else None for cell in row) for row in ROWS * times]
    with isolated(lake.spark) as own:
        frame = own.createDataFrame(texts, ", ".join(f"{name} string" for name in kinds)).coalesce(1)
        frame = frame.selectExpr(*(f"cast({name} as {kind}) {name}" for name, kind in kinds.items()), *more)
        frame.write.format("delta").save(str(lake.root / "source"))


def test_days_and_moments_of_every_year_are_published_and_verified(lake):
    source(lake)
    result = lake.publish("r1", rules=RULES, extra="engine: spark\nquarantine: {{path: {root}/quarantine}}")
    assert result.status == "published", result.reasons
    assert result.rows["published"] == 3  # -0.0 and 0.0 are one value: both rows are duplicates
    assert lake.verify().holds
    told = (
        lake.read()
        .selectExpr("id", "cast(day as string)", "cast(at as string)", "cast(wide as string)", "big")
        .collect()
    )
    assert sorted(tuple(row) for row in told) == [
        (3, "1582-10-15", "1850-06-01 00:00:00", "0E-18", BIG + 1),
        (4, "1899-12-31", "1899-12-31 23:59:59", None, BIG),
        (5, "9999-12-31", "9999-12-31 23:59:59.999999", "-1.000000000000000000", 0),
    ]
    kept = lake.rows("quarantine", "id")
    assert kept == [(1,), (2,)]


def test_profile_and_suggest_take_them(lake):
    nested = (
        "named_struct('a', id, 'b', 'x') who",
        "array(id, 1) list",
        "map('k', id) more",
        "array(named_struct('c', id)) deep",
    )
    source(lake, 8, nested)
    place = Source(format="delta", path=str(lake.root / "source"))
    found = {column.name: column for column in profile(lake.spark, place).columns}
    assert (found["day"].written(found["day"].low), found["day"].written(found["day"].high)) == (
        "0001-01-01",
        "9999-12-31",
    )
    assert found["big"].high == float(2**63 - 1)
    assert (found["d"].zeros, found["d"].not_numbers) == (16, 16)
    suggested = suggest(lake.spark, place)
    rules = [one.rule for one in (*suggested.rules, *suggested.left_out)]
    assert any(rule.startswith('ColumnValues "day" between "0001-01-01" and "9999-12-31"') for rule in rules), rules
