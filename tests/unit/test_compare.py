"""Literals beside types: what is exact, what is refused, without Spark."""

from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataward.spark.compare import Incomparable, Value, as_moment, equal, ordered
from tests.cases import cases

WHOLE = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64}
ORDERS = {">": Decimal.__gt__, ">=": Decimal.__ge__, "<": Decimal.__lt__, "<=": Decimal.__le__}
literals = st.decimals(-(10**20), 10**20, places=3) | st.integers(-300, 300).map(lambda n: Decimal(n) / 2)


def holds(sql, value):
    """What a comparison of `x` with a literal of its own type comes to, by Python."""
    if sql in ("false", "`x` is not null"):
        return sql != "false"
    _, operator, right = sql.split(" ", 2)
    return ORDERS[operator](value, Decimal(right.rstrip("YSL")))


@cases(2)
@given(st.sampled_from(sorted(WHOLE)), st.sampled_from(sorted(ORDERS)), literals, st.data())
def test_whole_numbers_are_compared_exactly(kind, operator, literal, data):
    end = 2 ** (WHOLE[kind] - 1)
    near = st.integers(-2, 2).map(lambda n: min(max(int(literal) + n, -end), end - 1))
    value = Decimal(data.draw(near | st.integers(-end, end - 1)))
    assert holds(ordered(Value("`x`", kind), operator, literal), value) == ORDERS[operator](value, literal)


@pytest.mark.parametrize(("kind", "literal"), [
    ("int", "abc"), ("bigint", datetime(2026, 1, 1)), ("double", "one"), ("date", Decimal(5)), ("timestamp", "2024-02-30"),
    ("date", "2024"), ("boolean", Decimal(2)), ("boolean", "yes"), ("string", Decimal("1e37")),
    ("string", Decimal("0." + "1" * 40)),
])  # fmt: skip
def test_what_means_nothing_beside_a_type_is_refused(kind, literal):
    for compare in (lambda value: equal(value, [literal]), lambda value: ordered(value, "<", literal)):
        with pytest.raises(Incomparable) as refused:
            compare(Value("`x`", kind))
        assert "`x`" in refused.value.what
        assert refused.value.remedy


@pytest.mark.parametrize(("text", "found"), [
    ("2026-01-31", (datetime(2026, 1, 31), True)),
    ("2026-01-31 12:30", (datetime(2026, 1, 31, 12, 30), False)),
    ("2026-01-31T12:30:01.5Z", (datetime(2026, 1, 31, 12, 30, 1, 500000), False)),
    ("1500-02-28", (datetime(1500, 2, 28), True)),
    ("2026-01-01 00:00:00+01:00", (datetime(2025, 12, 31, 23), False)),
    ("2026-02-30", None),
    ("tomorrow", None),
    ("2026", None),
])  # fmt: skip
def test_moments_are_iso(text, found):
    assert as_moment(text) == found
