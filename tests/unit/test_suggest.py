"""Rules that a profile suggests, without Spark."""

import pytest

from dataward.contract import Document, Source
from dataward.contract.draft import Drafting, DraftLine, draft
from dataward.contract.load import problems_of
from dataward.profiling.column import ColumnProfile, Frequent, Lengths
from dataward.profiling.suggest.candidates import Candidate, candidates
from dataward.profiling.suggest.deequ import _as_rule
from dataward.quality.suite import suite
from dataward.verbs.suggest import others


def numbers(low, high, **more):
    grid = tuple(low + (high - low) * n / 100 for n in range(101))
    return ColumnProfile("c", more.pop("type", "double"), 1000, more.pop("missing", 0), 500, 0, low=low, high=high, quantiles=grid,
                         mean=(low + high) / 2, deviation=(high - low) / 4, **more)  # fmt: skip


def texts(values, **more):
    frequent = tuple(Frequent(value, 1000 // len(values)) for value in values)
    return ColumnProfile("c", "string", 1000, more.pop("missing", 0), len(values), 0, frequent=frequent, **more)


def suggested(*columns, correlated=()):
    found = [one.rule for one in candidates(columns, correlated, 1000)]
    made, errors = suite(f"Rules = [ {', '.join(found)} ]")
    assert not errors, errors[0].what
    assert len(made.rules) == len(found)
    return found[1:]


def test_rules_of_numbers_leave_room():
    assert suggested(numbers(10, 110)) == [
        'IsComplete "c"',
        'ColumnValues "c" between 0 and 120',
        'Mean "c" between 53.7 and 66.3',
    ]
    assert suggested(numbers(0, 50, type="int"))[1] == 'ColumnValues "c" between -1 and 55'
    assert suggested(numbers(2013, 2013, type="int"))[1] == 'ColumnValues "c" between 2012 and 2014'
    assert suggested(numbers(-50, 50, missing=250)) == [
        'Completeness "c" > 0.68', 'ColumnValues "c" between -60 and 60 where "`c` is not null"', 'Mean "c" between -6.25 and 6.25',
    ]  # fmt: skip
    assert (
        suggested(numbers(0, 86400 * 100, type="date"))[1] == 'ColumnValues "c" between "1969-12-22" and "1970-04-21"'
    )


def spread(points, **more):
    return ColumnProfile("c", more.pop("type", "double"), 1000, 0, 500, 0, low=points[0], high=points[-1], quantiles=tuple(points),
                         mean=50.0, deviation=10.0, **more)  # fmt: skip


def test_what_lies_far_out_draws_no_bounds():
    grid = [float(n) for n in range(100)]
    assert suggested(spread([*grid, 999999.0]))[1] == 'ColumnValues "c" between -1 and 109 with threshold > 0.96'
    assert suggested(spread([-5000.0, *grid[:-1], 98.5, 1e6][:101]))[1].startswith(
        'ColumnValues "c" between -1 and 109'
    )
    skewed = [1.05**n for n in range(101)]  # its far end is long, and no mistake
    assert "threshold" not in suggested(spread(skewed))[1]
    days = [86400.0 * n for n in range(100)] + [253_402_214_400.0]
    assert suggested(spread(days, type="date"))[1] == (
        'ColumnValues "c" between "1969-12-22" and "1970-04-19" with threshold > 0.96'
    )
    ends = [-62_135_596_800.0 + 86400 * 36500 * n for n in range(101)]
    assert suggested(spread(ends, type="date"))[1] == 'ColumnValues "c" between "0001-01-01" and "9999-12-31"'


def test_a_key_with_some_duplicates():
    almost = ColumnProfile("c", "string", 1000, 0, 990, 0, unique=0.985)
    assert suggested(almost) == ['Uniqueness "c" > 0.95', 'IsComplete "c"']  # it stops a run, and diverts no row
    measure = ColumnProfile("c", "double", 1000, 0, 990, 0, unique=0.985)
    assert suggested(measure) == ['IsComplete "c"']


def test_rules_of_texts():
    lengths = Lengths(1, 1.0, 1)
    assert suggested(texts(["b", "a"], lengths=lengths)) == [
        'IsComplete "c"', 'ColumnValues "c" in ["a", "b"]', 'ColumnLength "c" = 1',
    ]  # fmt: skip
    many = texts(["12"], lengths=Lengths(1, 2, 5), inferred="integer", inferred_share=1.0, undercounted=3)
    assert suggested(many) == ['IsComplete "c"', 'ColumnDataType "c" = "Long"', 'ColumnLength "c" <= 10']


def test_keys_and_correlations():
    key = ColumnProfile("id", "bigint", 1000, 0, 1000, 0, unique=1.0)
    assert suggested(key) == ['IsPrimaryKey "id"']
    assert suggested(texts(["a", "b"]), ColumnProfile("d", "string", 1000, 0, 40, 0))[0] == 'IsUnique "d" "c"'
    assert suggested(key, correlated=[("a", "b", -0.95), ("a", "c", 0.5)])[-1] == 'ColumnCorrelation "a" "b" < -0.85'


def test_rules_of_sensitive_columns_hold_no_value():
    hidden = texts(["CANARY"], lengths=Lengths(6, 6.0, 6), inferred="integer", inferred_share=1.0).hidden("password")
    assert suggested(hidden) == ['IsComplete "c"', 'ColumnLength "c" = 6']
    assert suggested(numbers(7, 77).hidden("password")) == ['IsComplete "c"']


@pytest.mark.parametrize(("code", "rule"), [
    ('.isComplete("c")', 'IsComplete "c"'), ('.isUnique("c")', 'IsUnique "c"'),
    ('.isNonNegative("c")', 'ColumnValues "c" >= 0 where "`c` is not null"'),
    ('.isContainedIn("c", ["a", "b"])', 'ColumnValues "c" in ["a", "b"] where "`c` is not null"'),
    ('.hasCompleteness("c", lambda x: x >= 0.95, "It should be above 0.95!")', 'Completeness "c" >= 0.95'),
    ('.hasDataType("c", ConstrainableDataTypes.Integral)', None),
    ('.isContainedIn("c", ["a"], lambda x: x >= 0.9, "It should be above 0.9!")', None),
])  # fmt: skip
def test_what_pydeequ_suggests(code, rule):
    assert [one.rule for one in _as_rule(code, {"c": "c"})] == ([rule] if rule else [])


def test_a_draft_with_rules_is_a_contract(tmp_path):
    text = draft(
        Source(path="data/x.parquet", format="parquet"),
        [DraftLine("c", None, "nothing found")],
        Drafting(rules=['IsComplete "c"', "RowCount > 3"]),
    )
    (tmp_path / "c.yaml").write_text(text)
    contract, problems = problems_of(Document.read(tmp_path / "c.yaml"))
    assert not problems
    assert [str(rule) for rule in suite(contract.rules)[0].rules] == ['IsComplete "c"', "RowCount > 3"]


def test_pydeequs_lists_of_values_are_left_out_where_values_are_no_categories():
    day = ColumnProfile("day", "string", 1000, 0, 90, 0, inferred="timestamp", inferred_share=1.0)
    city = ColumnProfile("city", "string", 1000, 0, 400, 0)
    tier = ColumnProfile("a tier", "string", 1000, 0, 3, 0)
    theirs = [Candidate(f'ColumnValues "{one}" in ["x", "y"]', "") for one in ("day", "city", "a tier")]
    more = [Candidate('ColumnValues "day" >= 0', ""), Candidate('IsComplete "city"', "")]
    ours = [Candidate('IsComplete "city"', "")]
    assert others(ours, [*theirs, *more], [day, city, tier]) == [theirs[2], more[0]]
