"""SQL that rules hold: what is pure is taken, and nothing else, however it is written."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataward.contract.plain import is_plain
from dataward.contract.pure import Impure, _functions, _tokens, condition, expressions, patterns, query
from dataward.errors import ContractError
from dataward.pipeline.plan import plan

CONTRACT = """\
contract: people
source: {path: lake/in}
target: {path: lake/people}
keys: {path: conf/keys, domain: people}
references: {planes: {path: lake/planes}}
rules: |
  Rules = [
    RowCount > 1,
    RULE
  ]
columns: {id: {protect: keep}}
"""

PURE = [
    "age > 20 and state = 'nsw'", "`c` is not null", "c", "false", "x in (1,2,3)", "exists(arr, x -> x > 1)", "a <=> b", "a rlike r'\\d+'",
    "d > date'2020-01-01'", "a between 1 and 2", "cast(a as decimal(10,2)) > 1", "case when a then 1 else 2 end = 1", "not (a or b)", "a.b.c = 1",
    "m['k'] = 1", "d > current_date() - interval 7 days", "a like any ('x','y')", "substring(a from 2 for 3) = 'x'", "extract(year from d) = 2020",
    "trim(both 'x' from a) = 'b'", "a::int > 3", "a is distinct from b", "xxhash64(`a b`) % 64 = 0", "a>1L", "a != 'it\\'s'", "a = 'it''s'", 'a = "x"',
    "a = x'1F'", "aggregate(a, 0, (s, x) -> s + x) > 3", "a div 2 = 1", "!a", "if(a > 1, true, false)", "a = ';'", "a = '-- /* '", "`reflect` = 1",
    "a = 'reflect(1)'", "a\n>\t1",
]  # fmt: skip

# (condition, words of why it is not taken)
IMPURE = [
    ("reflect('java.lang.Thread', 'x') = 1", "function 'reflect'"), ("`reflect`('a')", "function 'reflect'"), ("REFLECT ('a')", "function 'reflect'"),
    ("java_method('a', 'b')", "function 'java_method'"), ("system.builtin.reflect('a')", "function 'reflect'"), ("read_files('x')", "function 'read_files'"),
    ("identifier('reflect')('a')", "function 'identifier'"), ("a in (transform(b) using 'cat')", "'using' names columns"),
    ("rand() > 0.5", "function 'rand'"), ("uuid() = a", "function 'uuid'"), ("raise_error(a)", "function 'raise_error'"),
    ("input_file_name() = 'a'", "function 'input_file_name'"), ("true) or (true", "closed that was not opened"), ("(a = 1", "not closed"),
    ("a = 1)", "closed that was not opened"), ("a = 'x", "a quote is not closed"), ("a = 1; drop table x", "';' cannot stand here"),
    ("a > (select 1)", "no expression about one row"), ("exists(select 1)", "no expression about one row"), ("a in (table y)", "'table NAME'"),
    ("a -- b", "comment"), ("a /* x */", "comment"), ("a -- x\r or reflect('a')", "comment"), ("a /*+ hint */", "comment"), ("select 1", "does not parse"), ("case > 1", "does not parse"),
    ("", "empty"), (" \n", "empty"), ("a, b", "several expressions"), ("a as b", "no expression about one row"), ("count(*) > 1", "looks at many rows"),
    ("row_number() over (order by a) = 1", "looks at many rows"), ("${x} = 1", "'$' cannot stand here"), (":p = 1", "':' cannot stand"),
    ("@x", "'@' cannot stand"), ("a from primary", "no expression about one row"), ("a union select 1", "no expression about one row"),
    ("a limit 3", "no expression about one row"), ("r'\\' or reflect('a','b') or ''", "function 'reflect'"), ("a = b'01'", "stands before a quote"),
    ("x" * 200_000, "longer than"), ("(" * 50_000, "too many brackets"), ("not " * 20_000 + "a", "nested too deeply"), ("é = 1", "cannot stand here"),
    ("{fn now()}", "'{' cannot stand here"), ("a is not null from csv.`/x`", "no expression about one row"),
]  # fmt: skip

# (query, tables that it reads)
QUERIES = [
    ("select count(*) from primary where age > 40", {"primary"}),
    (
        "select count(*) from primary f left anti join planes p using (tail) where tail is not null",
        {"primary", "planes"},
    ),
    ("with x as (select * from primary), y as (select * from x) select count(*) from y", {"primary"}),
    ("select count(*) from primary lateral view explode(a) t as x", {"primary"}),
    ("select percentile(a, 0.5) within group (order by b) from primary", {"primary"}),
    (
        "select a, count(*) filter (where b > 1) from primary group by a having count(*) > 1 order by 2 limit 3",
        {"primary"},
    ),
    (
        "select sum(a) over (partition by b order by c rows between 1 preceding and current row) from primary",
        {"primary"},
    ),
    ("select * from values (1), (2) as t(a)", set()),
    ("select (select count(*) from primary) - (select count(*) from planes)", {"primary", "planes"}),
    ("with a as (select * from secret), secret as (select 1) select 1", {"secret"}),
    ("select * from `csv.x`", {"csv.x"}),
]

NO_QUERIES = [
    ("drop table primary", "no query"), ("nonsense", "no query"), ("insert into primary select 1", "no query"), ("set spark.x=1", "no query"),
    ("add jar 'x'", "no query"), ("show tables", "no query"), ("explain select 1", "no query"), ("values (1)", "no query"), ("use x", "no query"),
    ("select * from csv.`/etc/passwd`", "no table of the contract"), ("select * from `csv`.`/x`", "no table of the contract"),
    ("select * from delta.`/x`", "no table of the contract"), ("select * from lake.people", "no table of the contract"),
    ("select * from global_temp.x", "no table of the contract"), ("with x as (table secret) select * from x", "'table NAME'"),
    ("select * from (table secret)", "'table NAME'"), ("select * from range(10)", "function 'range'"), ("select * from read_files('x')", "'read_files'"),
    ("select transform(a) using 'cat' from primary", "'using' names columns"), ("from primary map a using 'cat'", "'using' names columns"),
    ("select * from primary version as of 1", "version is not allowed"), ("select * from primary tablesample (10 percent)", "function 'tablesample'"),
    ("select reflect('a', 'b')", "function 'reflect'"), ("select 1; select 2", "';' cannot stand here"), ("select * into x from primary", "not allowed"),
    ("select * from (with q as (select 1) select * from q)", "'with' inside of a query"), ("select /*+ broadcast(a) */ 1", "comment"),
    ("with recursive a as (select 1 union all select 2 from a) select * from a", "recursive"), ("select * from 'x'", "a text is no table"),
    ("select count(*) from primary) or (select 1", "closed that was not opened"), ("select input_file_name() from primary", "'input_file_name'"),
    ("select * from primary for update", "not allowed"), ("select * from json_tuple(a)", "no table of the contract"),
]  # fmt: skip


@pytest.mark.parametrize("text", PURE)
def test_pure_conditions_are_taken(text):
    condition(text)


@pytest.mark.parametrize(("text", "words"), IMPURE)
def test_what_is_no_pure_condition_is_not_taken(text, words):
    with pytest.raises(Impure) as caught:
        condition(text)
    assert words in caught.value.what
    assert caught.value.remedy


@pytest.mark.parametrize(("text", "tables"), QUERIES)
def test_a_query_tells_the_tables_that_it_reads(text, tables):
    assert query(text) == tables


@pytest.mark.parametrize(("text", "words"), NO_QUERIES)
def test_what_is_no_pure_query_is_not_taken(text, words):
    with pytest.raises(Impure) as caught:
        query(text)
    assert words in caught.value.what


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "reflect", "(", ")", "'", '"', "`", "\\", "\\'", "--", "\r", "\n", "/*", "*/", " ", "r'", "1", "=", "or", "select", "from",
                                 "csv.`/x`", ";", ",", "x'", "table", "with", "as", "using"]), max_size=14).map(" ".join)
       | st.lists(st.sampled_from(["a", "reflect(1)", "'", '"', "`", "\\", "--", "\r", "\n", "/*", "*/", "r'", "''", " or "]), max_size=10).map("".join))  # fmt: skip
def test_no_way_of_quoting_lets_a_call_or_a_file_through(text):
    for read in (condition, expressions, query):
        try:
            read(text)
        except Impure:
            continue
        # What was taken is cut into texts and names by Spark's own rules, and outside of these neither a call nor a file is left.
        outside = re.sub(
            r"[rR]'[^']*'|[rR]\"[^\"]*\"|'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`(?:[^`]|``)*`", " Q ", text, flags=re.S
        )
        assert not re.search(r"reflect\s*\(|(from|join)\s+csv|;|--|/\*|\btable\s+\w|using\s+[^( ]", outside), text
        assert not re.search(r"['\"`\\]", outside), text


def test_expressions_may_be_several():
    assert len(expressions("state, substring(k, 1, 2)")) == 2


def test_regular_expressions_in_sql_are_found():
    said = "a rlike '(a+)+b' and regexp_extract(b, r'(x+x+)+y') = 'a' and regexp_like(c, 'q') and d = 'z'"
    assert sorted(patterns(said)) == ["(a+)+b", "(x+x+)+y", "q"]


@pytest.mark.parametrize(("rule", "words"), [
    ('IsComplete "id" where "true) or (true"', "where: a bracket is closed that was not opened"),
    ('(IsUnique "id" where "reflect(\'a\', \'b\') = 1") and (IsComplete "id")', "where: function 'reflect' is not allowed"),
    ('CustomSql "select * from csv.`/x`" = 0', "is no table of the contract"),
    ('CustomSql "select count(*) from plans" = 0', "the contract has no reference 'plans'"),
    ('CustomSql "drop table primary" = 0', "it is no query"),
    ('CustomSql "select count(*) from Primary p join PLANES q on p.id = q.id" = 0', None),
    ('CustomSql "select 1;" = 1', None),
])  # fmt: skip
def test_sql_of_a_rule_is_read_when_the_contract_loads(tmp_path, rule, words):
    file = tmp_path / "c.yaml"
    file.write_text(CONTRACT.replace("RULE", rule))
    if words is None:
        assert plan(file).suite.rules
        return
    with pytest.raises(ContractError) as caught:
        plan(file)
    (told,) = caught.value.problems
    assert words in told.what
    assert told.line == 9


def test_sql_of_a_block_is_read_when_the_contract_loads(tmp_path):
    (tmp_path / "c.yaml").write_text(
        CONTRACT.replace("RULE", 'IsComplete "id"')
        + "treat: {duplicates: {d: {similar: {id: id}, block: [\"reflect('a', 'b')\"]}}}\n"
    )
    with pytest.raises(ContractError, match="function 'reflect' is not allowed"):
        plan(tmp_path / "c.yaml")


WORDS = st.sampled_from(
    [
        *("a b_2 `e` user order case current_user current_date null true not interval date 'x' 'it''s' 'a\\'b' r'x' x'1F' 1 2.5 5L 1e3 .5 -".split()),
        *("= == != <> <=> < >= and or is in between like rlike ( ) , . lower div 'true' \"q\" @ [ :: from select 3 -- +".split()),
        *("`c d`", "- 1", "a . b", "- a", "''", "'x' 'y'"),
    ]
)  # fmt: skip
BESIDES = (
    "{} = 'x'", "a = {}", "{} is not null", "{} in (1, -2)", "{} between 1 and 2", "{} not like 'a'", "a = 1 and {} < 3 or b = 1", "`{}` = 1",
)  # fmt: skip


def is_taken_after_parsing(text):
    try:
        (tree,) = expressions(text)
    except (Impure, ValueError):
        return False
    from sqlglot import exp

    return not any(isinstance(node, exp.Func) and not isinstance(node, exp.Connector) for node in tree.walk())


def recognised(text):
    try:
        return is_plain(_tokens(text))
    except Impure:
        return False


TERMS = st.builds(
    lambda form, words: form.format(*words),
    st.sampled_from(
        [
            "{} = {}",
            "{} {} {}",
            "{} is not {}",
            "{} in ({}, {})",
            "not {} between {} and {}",
            "{} not like {}",
            "- {} < {} {}",
        ]
    ),
    st.lists(WORDS, min_size=3, max_size=3),
)


@given(
    st.lists(TERMS, min_size=1, max_size=3).flatmap(
        lambda terms: st.sampled_from([" and ".join(terms), " or ".join(terms)])
    )
)
@settings(max_examples=300, deadline=None)
def test_what_is_recognised_without_a_parser_is_taken_after_parsing_too(text):
    assert not recognised(text) or is_taken_after_parsing(text)


def test_no_word_of_sql_is_taken_for_a_column_where_the_parser_takes_it_for_more():
    from sqlglot.dialects.spark import Spark

    words = {word.lower() for word in Spark.Tokenizer.KEYWORDS if word.replace("_", "a").isalnum()} | set(_functions())
    seen = [text.format(word) for word in sorted(words) for text in BESIDES]
    assert [text for text in seen if recognised(text) and not is_taken_after_parsing(text)] == []


@pytest.mark.parametrize(
    "text",
    [
        "age > 20 and state = 'nsw'",
        "`c` is not null",
        "x in (1,2,3)",
        "a not between -1 and b",
        "a like 'b%' or a <> 3",
    ],
)
def test_comparisons_with_values_need_no_parser(text):
    assert recognised(text)


@pytest.mark.parametrize("word", ["current_user", "`current_user`", "SESSION_USER", "current_catalog"])
def test_the_caller_s_name_is_no_value_of_the_row(word):
    with pytest.raises(Impure, match="outside of the rows"):
        condition(f"a = lower({word})")
    condition(f"a.{word} = 1")
