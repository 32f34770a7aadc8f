"""The grammar: every construct of this release, and errors that say where and what was expected."""

import json
from datetime import datetime, timedelta
from decimal import Decimal
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lark import Lark, UnexpectedInput

from dataward.quality.conditions import NULL, Condition, Moment
from dataward.quality.dqdl import RuleError, read, tables
from dataward.quality.rules import KINDS, RowComposite, TableComposite
from dataward.quality.suite import suite
from tests.cases import cases

NOW = datetime(2026, 11, 22, 12, 0, 0)


def one(text, **how):
    made, errors = suite(f"Rules = [ {text} ]", **how)
    assert not errors, vars(errors[0])
    return made.rules[0]


def parse(text):
    made, errors = suite(text)
    return list(made.rules), errors


@pytest.mark.parametrize(("text", "sql"), [
    ('ColumnValues "a" > 1', "(coalesce(`a` > 1, false))"),
    ('ColumnValues "a" = "x"', "(coalesce(`a` in ('x'), false))"),
    ('ColumnValues "a" != "x"', "(not coalesce(`a` in ('x'), false))"),
    ('ColumnValues "a" in ["x", NULL]', "(coalesce(`a` is null or `a` in ('x'), false))"),
    ('ColumnValues "a" not in [1, 2.50]', "(not coalesce(`a` in (1, 2.50), false))"),
    ('ColumnValues "a" between 1 and 9', "(coalesce(`a` > 1 and `a` < 9, false))"),
    ('ColumnValues "a" not between -1 and 9', "(not coalesce(`a` > -1 and `a` < 9, false))"),
    ('ColumnValues "a" matches "\\d+"', "(coalesce(`a` rlike '\\\\d+', false))"),
    ('ColumnValues "a" not matches "x"', "(not coalesce(`a` rlike 'x', false))"),
    ('ColumnValues "a" = EMPTY', "(coalesce(`a` = '', false))"),
    ('ColumnValues "a" != NULL', "(not coalesce(`a` is null, false))"),
    ('ColumnValues "a" > (now() - 3 days)', "(coalesce(`a` > timestamp'2026-11-19 12:00:00', false))"),
    ('ColumnValues "a" = "it\'s \\" quoted"', "(coalesce(`a` in ('it\\'s \" quoted'), false))"),
    ('ColumnValues "odd `name`" > 1', "(coalesce(`odd ``name``` > 1, false))"),
    ('ColumnLength "a" = 4', "(coalesce(coalesce(length(cast(`a` as string)), 0) in (4), false))"),
    ('IsComplete "a" where "b > 1"', "(`a` is not null)"),
    ('(IsComplete "a") or (IsComplete "b")', "((`a` is not null) or (`b` is not null))"),
    ('(IsComplete "a" where "c") AND (IsComplete b)', "coalesce((if(coalesce(c, false), (`a` is not null), null) and (`b` is not null)), false)"),
])  # fmt: skip
def test_row_rule_as_sql(text, sql):
    assert one(text).typed({}).predicate(NOW) == sql


def test_parts_of_a_statement():
    rule = one(
        'ColumnValues "a" in ["x"] where "b = 1" with threshold between 0.5 and 0.9 labels=["severity"="warning", "team"="x"]'
    )
    assert rule.statement.where == "b = 1"
    assert rule.statement.threshold == Condition("between", (Decimal("0.5"), Decimal("0.9")))
    assert rule.warns_only
    assert one('ColumnValues "a" > now()').statement.condition.operands == (Moment(),)
    assert one('DataFreshness "a" <= 24 hours').statement.condition.operands == (timedelta(days=1),)
    assert one('ColumnValues "a" = null').statement.condition.operands == (NULL,)


def test_composites_bind_and_before_or_and_nest():
    rule = one('(IsComplete "a") or (IsComplete "b") and (IsComplete "c")')
    assert isinstance(rule, RowComposite)
    assert (rule.operator, rule.parts[1].operator) == ("or", "and")
    mixed = one('(RowCount > 1) and ((IsComplete "a") or (IsUnique "b"))')
    assert isinstance(mixed, TableComposite)
    assert mixed.columns == ("a", "b")


def test_comments_trailing_comma_and_lines():
    rules, errors = parse('# first\nRules = [\n  RowCount > 1, # why\n  IsComplete "a",\n]')
    assert not errors
    assert [(rule.statement.line, rule.text) for rule in rules] == [(3, "RowCount > 1"), (4, 'IsComplete "a"')]
    assert parse("Rules = []") == ([], [])


@pytest.mark.parametrize(("text", "line", "words", "remedy"), [
    ('Rules = [ IsComplete "a"', 1, "ends too early", "]"),
    ('Rules = [\n IsComplete "a" IsUnique "b ]', 2, "column 26", "quote"),
    ("Rules = [ RowCount >> 3 ]", 1, "column 21: '>' cannot stand here", "a number"),
    ("Rules = [ RowCount ~ 3 ]", 1, "column 20", "a comparison"),
    ("RowCount > 3", 1, "column 1: there is no 'Rules", "Rules = ["),
    ("Rules = [ (RowCount > 3 ]", 1, "column 25: ']' cannot stand here", "')'"),
    ('Rules = [ IsComplete "a" with treshold > 1 ]', 1, "with treshold", "did you mean 'threshold'"),
    ('Rules = [ ColumnValues "a" > nwo() ]', 1, "function 'nwo' is unknown", "did you mean 'now'"),
    ('Rules = [ IsComplet "a" ]', 1, "unknown rule type", "did you mean 'IsComplete'"),
])  # fmt: skip
def test_errors_say_where_and_what_was_expected(text, line, words, remedy):
    rules, errors = parse(text)
    assert rules == []
    assert (errors[0].line, words in errors[0].what, remedy in errors[0].remedy) == (line, True, True), vars(errors[0])


def test_every_rule_type_of_dqdl_is_known():
    every = [
        "AggregateMatch",
        "ColumnCorrelation",
        "ColumnCount",
        "ColumnDataType",
        "ColumnExists",
        "ColumnLength",
        "ColumnNamesMatchPattern",
        "ColumnValues",
        "Completeness",
        "CustomSql",
        "DataFreshness",
        "DatasetMatch",
        "DetectAnomalies",
        "DistinctValuesCount",
        "Entropy",
        "FileFreshness",
        "FileMatch",
        "FileSize",
        "FileUniqueness",
        "IsComplete",
        "IsPrimaryKey",
        "IsUnique",
        "Mean",
        "ReferentialIntegrity",
        "RowCount",
        "RowCountMatch",
        "SchemaMatch",
        "StandardDeviation",
        "Sum",
        "UniqueValueRatio",
        "Uniqueness",
    ]
    ours = ["DeltaPresence", "KAnonymity", "KMap", "LDiversity", "NoDuplicates", "NoOutliers", "TCloseness"]
    assert sorted(KINDS) == sorted([*every, *ours])
    assert [name for name, kind in KINDS.items() if kind.ours] == ours


@pytest.mark.parametrize(("operator", "operands", "negated", "truths"), [
    (">", [1], False, {0: False, 1: False, 2: True}),
    (">=", [1], False, {0: False, 1: True}),
    ("<", [1], False, {0: True, 1: False}),
    ("<=", [1], False, {1: True, 2: False}),
    ("=", [1], False, {1: True, 2: False}),
    ("!=", [1], False, {1: False, 2: True}),
    ("between", [1, 3], False, {1: False, 2: True, 3: False}),
    ("between", [1, 3], True, {1: True, 2: False, 3: True}),
    ("in", [1, 3], False, {1: True, 2: False, 3: True}),
    ("in", [1, 3], True, {1: False, 2: True}),
])  # fmt: skip
def test_condition_on_a_number(operator, operands, negated, truths):
    condition = Condition(operator, tuple(map(Decimal, operands)), negated)
    assert {value: condition.holds(value) for value in truths} == truths


names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.]{0,8}", fullmatch=True)
strings = st.text(st.characters(exclude_categories=["Cs"]), max_size=10).map(
    lambda s: s.replace("\\", "").replace('"', '\\"')
)
quoted = strings.map(lambda s: f'"{s}"')
numbers = st.one_of(st.integers(-(10**9), 10**9).map(str), st.decimals(-99999, 99999, places=3).map(str))
durations = st.tuples(st.integers(0, 999), st.sampled_from(["days", "day", "hours", "minutes"])).map(
    lambda t: f"{t[0]} {t[1]}"
)
sizes = st.tuples(st.integers(0, 9999), st.sampled_from(["B", "KB", "MB", "GB", "TB"])).map(lambda t: f"{t[0]} {t[1]}")
sums = st.recursive(
    st.one_of(numbers, st.integers(1, 20).map(lambda k: f"avg(last({k}))"), st.just("index(last(10), 3)")),
    lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
    max_leaves=4,
)
moments = st.one_of(
    st.just("now()"), durations.map(lambda d: f"(now() - {d})"), durations.map(lambda d: f"(now() + {d})")
)
operands = st.one_of(
    sums, quoted, durations, sizes, moments, st.sampled_from(["NULL", "EMPTY", "whitespaces_only", "$limit"])
)
several = st.lists(operands, min_size=1, max_size=4).map(lambda many: "[" + ", ".join(many) + "]")
conditions = st.one_of(
    st.tuples(st.sampled_from(["=", "!=", ">", ">=", "<", "<="]), operands).map(" ".join),
    st.tuples(st.sampled_from(["", "not "]), operands, operands).map(lambda t: f"{t[0]}between {t[1]} and {t[2]}"),
    st.tuples(st.sampled_from(["", "not "]), st.one_of(several, st.just("$limit"))).map(lambda t: f"{t[0]}in {t[1]}"),
    st.tuples(st.sampled_from(["", "not "]), quoted).map(lambda t: f"{t[0]}matches {t[1]}"),
)
simple = st.tuples(
    st.sampled_from(["IsComplete", "ColumnValues", "RowCount", "DetectAnomalies", "Whatever"]),
    st.lists(quoted, max_size=3).map(" ".join), st.one_of(st.just(""), conditions),
    st.one_of(st.just(""), quoted.map(lambda q: f"where {q}")), st.one_of(st.just(""), conditions.map(lambda c: f"with threshold {c}")),
).map(lambda parts: " ".join(part for part in parts if part))  # fmt: skip
rules_text = st.recursive(
    simple.map(lambda rule: f"({rule})"),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" and ", " OR "]), inner).map(lambda t: f"({''.join(t)})"),
        inner.map(lambda rule: f"(not {rule})"),
    ),
    max_leaves=4,
)
labels = st.one_of(st.just(""), st.tuples(quoted, quoted).map(lambda t: f" labels=[{t[0]}={t[1]}]"))
comments = st.one_of(st.just(""), strings.map(lambda s: "# " + " ".join(s.split()) + "\n"))
documents = st.lists(st.tuples(comments, rules_text, labels).map("".join), max_size=4).map(
    lambda entries: '# top\nlimit = [1, "a"]\nRules = [\n' + ",\n".join(entries) + " # end\n]\nAnalyzers = [ RowCount ]"
)


@cases(3)
@given(documents)
def test_what_is_printed_parses_to_the_same(text):
    ruleset = read(text)
    printed = str(ruleset)
    again = read(printed)
    assert again == ruleset
    assert str(again) == printed
    assert [comment.text for comment in again.comments] == [comment.text for comment in ruleset.comments]


TOKENS = [*KINDS, '"a"', ">", "!=", "=", "0.5", "between", "and", "or", "of", "(", ")", "in", "[", "]", ",", "where", "{", "}", ":",
          "with threshold", "NULL", "now()", "3 days", "5 MB", "Rules", "Analyzers", "DefaultLabels", "not", "matches", "labels", "$x", "last(3)",
          "+", "-", "*", "/", "# c\n", "\n", "avg"]  # fmt: skip


@cases(5)
@given(st.one_of(
    st.text(max_size=120),
    st.lists(st.sampled_from(TOKENS), max_size=25).map(" ".join),
    st.lists(st.sampled_from(TOKENS), max_size=25).map(lambda tokens: f"Rules = [ {' '.join(tokens)} ]"),
    st.text(max_size=60).map(lambda inner: f"Rules = [ ColumnValues \"a\" = {inner} ]"),
))  # fmt: skip
def test_any_text_parses_or_gets_an_error_with_its_line(text):
    made, errors = suite(text)
    assert all(error.line >= 1 and error.what for error in errors)
    try:
        printed = str(read(text))
    except RuleError as error:
        assert (
            "column" in error.what
            or "ends too early" in error.what
            or "joins" in error.what
            or "no number" in error.what
        )
        assert made.rules == ()
    else:
        assert read(printed) == read(text)


CONSOLE = """
Metadata = { "Version": "1.0" }
DataSources = { "Primary": "sales", "AdditionalDataSources": ["people"] }
states = ["NY", "CA"]
query = "select count(*) from primary"
DefaultLabels = ["team"="data", "severity"="warning"]
Rules = [
    RowCount between 1 and 100000,
    IsComplete "id" labels=["severity"="error"],
    ColumnValues "state" in $states,
    CustomSql $query > 0,
    (IsUnique "id") and (IsComplete "id"),
    ColumnCorrelation of "a" and "b" > 0.9,
    ReferentialIntegrity "city,state" "people.{c,s}" = 1.0,
    FileFreshness "s3://b/" between now() and (now() - 45 minutes) with recentFiles = 2,
    SchemaMatch "people" = 1.0
]
Analyzers = [ RowCount, AllStatistics "a" ]
"""


def test_a_ruleset_from_the_console():
    made, errors = suite(CONSOLE)
    assert not errors, vars(errors[0])
    assert [rule.warns_only for rule in made.rules] == [True, False, *[True] * 7]
    assert made.rules[2].statement.condition.operands == ("NY", "CA")
    assert made.rules[3].statement.parameters == ("select count(*) from primary",)
    assert [analyzer.name for analyzer in made.analyzers] == ["RowCount", "AllStatistics"]


@pytest.mark.parametrize(("text", "words", "remedy"), [
    ('ColumnValues "a" > avg(last(3))', "no single row is compared with", "with threshold"),
    ('ColumnValues "a" > 3 with threshold > last(2)', "is several numbers", ""),
    ("RowCount > avg(3)", "is written last(10)", ""),
    ("RowCount > avg(last(0))", "whole number of runs", ""),
    ("RowCount > 2 * index(last(3), 3)", "is beyond the list", ""),
    ("RowCount > avgg(last(3))", "function 'avgg' is unknown", "did you mean 'avg'"),
    ('DetectAnomalies "RowCnt"', "anomalies of 'RowCnt' cannot", "did you mean 'RowCount'"),
    ('DetectAnomalies "RowCount" > 5', "takes no condition", "remove"),
    ('DetectAnomalies "RowCount" with method = "robbust"', "method 'robbust' is unknown", "did you mean 'robust'"),
    ('DetectAnomalies "RowCount" with method = "relative"', "needs a factor", "with factor = 0.2"),
    ('DetectAnomalies "RowCount" with factor = "x"', "no positive number", "with factor = 4"),
    ('DetectAnomalies "RowCount" with period = 1', "no number of runs", "with period = 7"),
    ('DetectAnomalies "Mean"', "takes 1 parameter, not 0", 'DetectAnomalies "Mean" "column"'),
    ("RowCount > $x", "there is no constant $x", "above Rules"),
    ('AllStatistics "a"', "unknown rule type", "Analyzers"),
    ('SchemaMatch "a" = 1 with alowed = ["b"]', "'with alowed' is unknown", "did you mean 'allowed'"),
    ('ReferentialIntegrity "a" "b" = 1', "names no columns", "alias.column"),
    ('ReferentialIntegrity "a,b" "r.c" = 1', "same number of columns", "2 against 1"),
    ('AggregateMatch "total(a)" "sum(b)" = 1', "is no aggregate", "sum(column)"),
    ('FileSize "x" > 5', "compares with sizes", "5 MB"),
    ('FileMatch "a"', "two paths, or one and checksums", 'in ["..."]'),
    ('FileMatch "a" in ["x"] with hashAlgorithm = "MD4"', "unknown", "SHA-256"),
    ('FileFreshness "x" > 5', "compares with times", "now()"),
    ('FileSize "x" > 5 B with recentFiles = 0', "number of files", "recentFiles = 1"),
    ("RowCount > 3 / 0", "is no number", ""),
    ('RowCount > now() + 3', "joins numbers", ""),
    ('ColumnValues "a" = ["x", "y"]', "one operand, not a list", "in [...]"),
    ('DatasetMatch "r" "a->" = 1', "no list of columns", "id->other_id"),
    ('Completeness "a" > 90', "lies between 0 and 1", "90 % is written 0.9"),
    ('Uniqueness "a" in [0.5, 95]', "lies between 0 and 1", "0.9"),
    ('Completeness "a" between 90 and 100', "lies between 0 and 1", "0.9"),
    ('IsComplete "a" with threshold > 95', "share of a threshold lies between 0 and 1", "0.9"),
    ('ColumnCorrelation "a" "b" > 2', "lies between -1 and 1", ""),
    ('ColumnValues "a" between 120 and 0', "no value lies there", "write between 0 and 120"),
    ('ColumnValues "a" not between 5 and 5', "no value lies there", "write = 5"),
    ('ColumnValues "d" between "2026-02-01" and "2026-01-31"', "no value lies there", 'write between "2026-01-31" and'),
    ('ColumnValues "d" between now() and (now() - 3 days)', "no value lies there", "between (now() - 3 days) and now()"),
    ('DataFreshness "d" between 3 days and 1 hours', "no value lies there", "between 1 hours and 3 days"),
    ('FileSize "x" between 5 MB and 1 KB', "no value lies there", "between 1 KB and 5 MB"),
    ('FileFreshness "x" > "soon"', "is no time", "9:30 AM"),
    ('ColumnValues "a" like "x%"', "'like' is no condition: there are =, !=", "regular expression"),
    ('ColumnValues "a" match "x"', "'match' is no condition", "did you mean 'matches'"),
    ("RowCount", "needs a condition", "add one, e.g. RowCount = 5"),
    ('Mean "age"', "needs a condition", 'e.g. Mean "age" between 30 and 32'),
    ('RowCount "a" > 1', "takes 0 parameters, not 1", "e.g. RowCount = 5"),
])  # fmt: skip
def test_what_cannot_be_meant_is_refused(text, words, remedy):
    made, errors = suite(f"Rules = [ {text} ]")
    assert not made.rules
    assert words in errors[0].what, errors[0].what
    assert remedy in errors[0].remedy, errors[0].remedy


@pytest.mark.parametrize("text", [
    'Completeness "a" between 0.9 and 1.1', 'IsComplete "a" with threshold >= 0', 'Completeness "a" > 1.2 * avg(last(3))',
    'FileFreshness "x" between now() and (now() - 45 minutes)', 'ColumnValues "a" between "b" and "a"', 'RowCount > -1',
    'ColumnValues "a" < 1e20',
])  # fmt: skip
def test_bounds_that_mean_something_are_taken(text):
    made, errors = suite(f"Rules = [ {text} ]")
    assert not errors, errors[0].what
    assert len(made.rules) == 1


def test_composites_by_column_and_not():
    text = '(IsComplete "a") or (IsComplete "b")'
    assert isinstance(one(text, composites="row"), RowComposite)
    assert isinstance(one(text, composites="column"), TableComposite)
    negated = one('not (IsComplete "a")')
    assert negated.predicate(NOW) == "(not (`a` is not null))"
    table = one("not (RowCount > 1)")
    assert [table.combine([outcome]) for outcome in (True, False, None)] == [False, True, None]
    either, both = one('(RowCount > 1) or (Mean "a" > 1)'), one('(RowCount > 1) and (Mean "a" > 1)')
    outcomes = [(True, None), (False, None), (False, False), (True, True), (None, None)]
    assert [either.combine(list(pair)) for pair in outcomes] == [True, None, False, True, None]
    assert [both.combine(list(pair)) for pair in outcomes] == [None, False, False, True, None]


def test_the_parse_tables_that_are_kept_are_of_this_grammar_and_read_as_computed_ones_do():
    assert (
        json.loads(files(tables.__package__).joinpath("grammar.json").read_text())["made_by"][1]
        == tables._made_by(tables._grammar())[1]
    )
    fresh, kept = Lark(tables._grammar(), **tables.OPTIONS), tables.parser({})
    for text in (
        'Rules = [ RowCount > 1, (IsComplete "a") or (Mean "b" between 1 and 2) ]',
        'Rules = [ IsUnique "a" where "x = 1" ]',
    ):
        assert kept.parse(text) == fresh.parse(text)
    for text in ("Rules = [ RowCount > ]", "Rules = [ RowCount"):
        with pytest.raises(UnexpectedInput) as one:
            kept.parse(text)
        with pytest.raises(UnexpectedInput) as other:
            fresh.parse(text)
        assert (type(one.value), one.value.expected) == (type(other.value), other.value.expected)
