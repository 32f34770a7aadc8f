"""The grammar: every construct of this release, and errors that say where and what was expected."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataward.quality.conditions import NULL, Condition, Moment
from dataward.quality.dqdl import parse
from dataward.quality.rules import KINDS, NOT_YET, RowComposite, TableComposite

NOW = datetime(2026, 11, 22, 12, 0, 0)


def one(text):
    rules, errors = parse(f"Rules = [ {text} ]")
    assert not errors, errors
    return rules[0]


@pytest.mark.parametrize(("text", "sql"), [
    ('ColumnValues "a" > 1', "(coalesce(`a` > 1, false))"),
    ('ColumnValues "a" = "x"', "(coalesce(`a` in ('x'), false))"),
    ('ColumnValues "a" != "x"', "(not coalesce(`a` in ('x'), false))"),
    ('ColumnValues "a" in ["x", NULL]', "(((`a` is null) or coalesce(`a` in ('x'), false)))"),
    ('ColumnValues "a" not in [1, 2.50]', "(not coalesce(`a` in (1, 2.50), false))"),
    ('ColumnValues "a" between 1 and 9', "(coalesce(`a` > 1 and `a` < 9, false))"),
    ('ColumnValues "a" not between -1 and 9', "(not coalesce(`a` > -1 and `a` < 9, false))"),
    ('ColumnValues "a" matches "\\d+"', "(coalesce(`a` rlike '\\\\d+', false))"),
    ('ColumnValues "a" not matches "x"', "(not coalesce(`a` rlike 'x', false))"),
    ('ColumnValues "a" = EMPTY', "(coalesce(`a` = '', false))"),
    ('ColumnValues "a" != NULL', "(not (`a` is null))"),
    ('ColumnValues "a" > (now() - 3 days)', "(coalesce(`a` > timestamp'2026-11-19 12:00:00', false))"),
    ('ColumnValues "a" = "it\'s \\" quoted"', "(coalesce(`a` in ('it\\'s \" quoted'), false))"),
    ('ColumnValues "odd `name`" > 1', "(coalesce(`odd ``name``` > 1, false))"),
    ('ColumnLength "a" = 4', "(coalesce(coalesce(length(cast(`a` as string)), 0) in (4), false))"),
    ('IsComplete "a" where "b > 1"', "(`a` is not null)"),
    ('(IsComplete "a") or (IsComplete "b")', "((`a` is not null) or (`b` is not null))"),
    ('(IsComplete "a" where "c") AND (IsComplete b)', "((not coalesce(c, false) or (`a` is not null)) and (`b` is not null))"),
])  # fmt: skip
def test_row_rule_as_sql(text, sql):
    assert one(text).predicate(NOW) == sql


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
    ("RowCount > 3", 1, "column 1", "'Rules'"),
    ('Rules = [ IsComplete "a" with treshold > 1 ]', 1, "with treshold", "with threshold"),
    ('Rules = [ ColumnValues "a" > nwo() ]', 1, "nwo(...)", "did you mean 'now'"),
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
    assert set(KINDS) | NOT_YET == set(every)
    assert not set(KINDS) & NOT_YET


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


@given(st.one_of(
    st.text(max_size=120),
    st.lists(st.sampled_from([*KINDS, '"a"', ">", "0.5", "between", "and", "or", "(", ")", "in", "[", "]", ",", "where",
                              "with threshold", "NULL", "now()", "3 days", "Rules", "=", "not", "matches", "labels"]),
             max_size=25).map(" ".join),
    st.text(max_size=60).map(lambda inner: f"Rules = [ ColumnValues \"a\" = {inner} ]"),
))  # fmt: skip
def test_any_text_parses_or_gets_an_error_with_its_line(text):
    rules, errors = parse(text)
    assert all(error.line >= 1 and error.what for error in errors)
    for rule in rules:
        again, none = parse(f"Rules = [ {rule.text} ]")
        assert not none, (rule.text, none[0].what)
        assert type(again[0]) is type(rule)
