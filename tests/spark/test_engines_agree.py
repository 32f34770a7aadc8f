"""Both engines come to the same measured value, verdict and failing rows, on generated frames.

One frame holds a column of every type, one ruleset hundreds of rules: a case is one rule on one frame. As many as
``DATAWARD_CASES`` says (the suite runs 2,000).
"""

import math
import os
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from dataward.quality.judge import Options, judge
from dataward.quality.suite import suite
from tests.spark.test_judge import NOW

CASES = int(os.environ.get("DATAWARD_CASES", "2000"))
RULES_A_FRAME = 500

texts = st.sampled_from(["", " ", "a", "b", "ab", "A", "é", "e\u0301", "日本", "😀", "1", "-7", "2.5", "1e3", "true", "2020-02-29",
                         "2020-02-30", "\t", "a b", "'", '"', "\\", "NULL", "nan", "x@y.org"])  # fmt: skip
doubles = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 1.5, -2.0, 1e-9, 1e12]),
    st.floats(-1e6, 1e6, width=32),
    st.sampled_from([math.nan, math.inf, -math.inf]),
)
TYPES = {
    "i int": st.integers(-3, 5),
    # No 2^63 beside -2^63: what their sum leaves of other numbers is a matter of the order of rows, which a join changes.
    "g bigint": st.sampled_from([-(2**63), -1, 0, 1, 2**53 + 1]),
    "d double": doubles,
    "f double": st.floats(-1e6, 1e6, width=32),
    "m decimal(12,2)": st.decimals(-1000, 1000, places=2).map(lambda x: Decimal(str(x)).quantize(Decimal("0.01"))),
    "s string": texts,
    "u string": st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=3),
    "t timestamp": st.integers(-(10**6), 10**6).map(
        lambda n: datetime(2026, 11, 22, 12, tzinfo=timezone.utc) + timedelta(seconds=n)
    ),
    "y date": st.integers(-400, 40).map(lambda n: date(2026, 11, 22) + timedelta(days=n)),
    "b boolean": st.booleans(),
    "p struct<q:int,r:string>": st.tuples(st.one_of(st.none(), st.integers(0, 3)), st.one_of(st.none(), texts)),
}
SCHEMA = ", ".join(TYPES)
rows = st.tuples(*[st.one_of(values, values, values, st.none()) for values in TYPES.values()])
frames = st.one_of(st.lists(rows, max_size=3), st.lists(rows, min_size=2, max_size=25))

ANY = ["i", "g", "d", "f", "m", "s", "u", "t", "y", "b", "p.q", "p.r"]
NUMBERS = ["i", "g", "d", "f", "m", "p.q"]
column, number = st.sampled_from(ANY), st.sampled_from(NUMBERS)
text_column = st.sampled_from(["s", "u", "p.r"])
comparison = st.tuples(
    st.sampled_from(["=", "!=", ">", ">=", "<", "<="]), st.sampled_from(["0", "1", "0.5", "2", "-1.5", "100"])
).map(" ".join)
bound = st.one_of(
    comparison, st.sampled_from(["between 0 and 1", "not between 0.2 and 3", "in [0, 1, 2]", "not in [1]"])
)
share = st.one_of(
    st.tuples(st.sampled_from(["=", "!=", ">", ">=", "<", "<="]), st.sampled_from(["0", "1", "0.5", "0.25"])).map(
        " ".join
    ),
    st.sampled_from(["between 0 and 1", "not between 0.2 and 3", "in [0, 1]", "not in [1]"]),
)
of_value = st.one_of(bound, st.sampled_from(["= NULL", "!= NULL", "in [1, NULL]", "not in [2, NULL]"]))
of_text = st.sampled_from(['= "a"', '!= "a"', 'in ["a", "b", EMPTY]', 'not in ["a", NULL]', 'matches "[a-z]"', 'not matches "^\\s*$"',
                           "= EMPTY", "= WHITESPACES_ONLY", "!= WHITESPACES_ONLY", '> "a"', 'in ["é", "日本"]', "= NULL"])  # fmt: skip
of_time = st.sampled_from(
    [
        '= "2026-11-22"',
        'in ["2026-11-22 12:00:00", "2026-11-21"]',
        '!= "2026-11-22 12:00"',
        'not in ["2026-11-20", NULL]',
        "> (now() - 3 days)",
        "<= now()",
        '> "2026-11-20"',
        'between "2026-11-01" and "2026-11-22 12:00:00"',
        "= NULL",
    ]
)
where = st.sampled_from(["", "", "", ' where "i > 0"', ' where "s is not null"', ' where "false"', ' where "d < 1"'])
threshold = st.sampled_from(
    ["", "", " with threshold > 0.5", " with threshold between 0.1 and 0.9", " with threshold = 0"]
)
measured = st.tuples(
    st.sampled_from(["Mean", "Sum", "StandardDeviation"]), st.one_of(number, column), bound, where
).map(lambda t: f'{t[0]} "{t[1]}" {t[2]}{t[3]}')  # fmt: skip
by_row = st.one_of(
    column.map(lambda name: f'IsComplete "{name}"'),
    st.tuples(number, of_value).map(lambda t: f'ColumnValues "{t[0]}" {t[1]}'),
    st.tuples(text_column, of_value).map(lambda t: f'ColumnValues "{t[0]}" {t[1]}'),
    st.tuples(text_column, of_text).map(lambda t: f'ColumnValues "{t[0]}" {t[1]}'),
    st.tuples(st.sampled_from(["t", "y"]), of_time).map(lambda t: f'ColumnValues "{t[0]}" {t[1]}'),
    st.tuples(column, bound).map(lambda t: f'ColumnLength "{t[0]}" {t[1]}'),
    st.tuples(text_column, st.sampled_from(["Integer", "Double", "Date", "Timestamp", "Boolean", "Long"])).map(
        lambda t: f'ColumnDataType "{t[0]}" = "{t[1]}"'
    ),
    st.tuples(
        st.sampled_from(["t", "y"]), st.sampled_from(["<= 24 hours", "> 2 days", "between 1 hours and 90 days"])
    ).map(lambda t: f'DataFreshness "{t[0]}" {t[1]}'),
)
row_rule = st.tuples(by_row, where, threshold).map("".join)
plain_row = st.tuples(by_row, where).map("".join)
other = st.one_of(
    where.map(lambda w: f"RowCount > 2{w}"),
    st.tuples(number, number, share.filter(lambda told: "3" not in told), where).map(
        lambda t: f'ColumnCorrelation "{t[0]}" "{t[1]}" {t[2]}{t[3]}'
    ),
    st.tuples(plain_row, st.sampled_from(["and", "or"]), plain_row).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})"),
    st.tuples(row_rule, st.sampled_from(["and", "or"]), measured).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})"),
    plain_row.map(lambda rule: f"not ({rule})"),
    st.tuples(column, share, where).map(lambda t: f'Completeness "{t[0]}" {t[1]}{t[2]}'),
)


@st.composite
def rulesets(draw):
    """Rules about uniqueness share a few keys: Deequ groups once for each."""
    keys = draw(st.lists(st.one_of(column.map(lambda name: f'"{name}"'), st.tuples(column, column).map(lambda t: f'"{t[0]}" "{t[1]}"')),
                         min_size=4, max_size=4))  # fmt: skip
    key, only, single = (
        st.sampled_from(keys),
        draw(where),
        st.sampled_from([key for key in keys if " " not in key] or ['"i"']),
    )
    unique = st.tuples(st.sampled_from(["IsUnique", "IsPrimaryKey"]), key, st.sampled_from(["", only])).map(
        lambda t: f"{t[0]} {t[1]}{t[2]}"
    )
    grouped = st.one_of(
        st.tuples(st.sampled_from(["Uniqueness", "UniqueValueRatio"]), key, share, st.sampled_from(["", only])),
        st.tuples(st.sampled_from(["DistinctValuesCount", "Entropy"]), single, bound, st.sampled_from(["", only])),
    ).map(lambda t: f"{t[0]} {t[1]} {t[2]}{t[3]}")
    many = draw(
        st.lists(
            st.one_of(measured, row_rule, row_rule, row_rule, other),
            min_size=RULES_A_FRAME - 42,
            max_size=RULES_A_FRAME - 42,
        )
    )
    many += draw(st.lists(st.one_of(grouped, st.tuples(unique, threshold).map("".join)), min_size=40, max_size=40))
    joined = st.tuples(unique, st.sampled_from(["and", "or"]), plain_row).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})")
    return many + draw(st.lists(joined, min_size=2, max_size=2))


def same(one, other):
    if one is None or other is None:
        return one is other
    return one == pytest.approx(other, rel=1e-9, abs=1e-9)


@pytest.mark.deequ
@pytest.mark.long
@settings(
    max_examples=max(1, CASES // RULES_A_FRAME),
    derandomize="DATAWARD_CASES" not in os.environ,
    phases=[Phase.generate],
)
@given(frames, rulesets())
def test_both_engines_agree(spark, data, rules):
    frame = spark.createDataFrame(data, SCHEMA).coalesce(1).cache()
    made, errors = suite(f"Rules = [ {', '.join(rules)} ]")
    assert not errors, vars(errors[0])
    judged = {engine: judge(spark, frame, made, NOW, Options(engine)).verdicts for engine in ("deequ", "spark")}
    differing = [
        (a.rule, (a.outcome, a.measured, a.failed_rows, a.message), (b.outcome, b.measured, b.failed_rows, b.message))
        for a, b in zip(judged["deequ"], judged["spark"], strict=True)
        if (a.outcome, a.failed_rows) != (b.outcome, b.failed_rows) or not same(a.measured, b.measured)
    ]
    frame.unpersist()
    if differing:
        told = "\n".join(f"{rule}\n  deequ {one}\n  spark {two}" for rule, one, two in differing[:10])
        pytest.fail(f"{len(differing)} of {len(rules)} rules differ:\n{told}\n{data}", pytrace=False)
