"""SQL that a contract's author may write: conditions about one row, and queries over tables that the contract names.

What is allowed is listed; everything else is refused. A text passes three gates. The first reads its tokens with a grammar that
has no comments, hints, parameters, semicolons or variables, so that Spark and the parser see the same tokens. The second allows
the names that may stand before a bracket: functions without effects, whose value depends on their arguments alone. The third
allows the kinds of nodes in sqlglot's tree (Spark's dialect), and the tables of a query. Spark's own parser and analyser judge
the same text once more, in a session.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any

from dataward.contract.plain import CALLER, Token, is_plain

__all__ = ["Impure", "condition", "expressions", "patterns", "query"]

LONGEST = 100_000
"""Characters of a text."""
DEEPEST = 100
"""Brackets that are open at once."""

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    | (?P<remark>--|/\*|//|\#)
    | (?P<text>[rR]'[^']*'|[xX]'[0-9A-Fa-f]*'|[rR]"[^"]*"|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    | (?P<quoted>`(?:[^`]|``)+`)
    | (?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?(?:[lLsSyYdDfF]|[bB][dD])?(?![A-Za-z0-9_]))
    | (?P<word>[A-Za-z_0-9]+)
    | (?P<sign><=>|<>|!=|>=|<=|==|->|\|\||::|[-+*/%(),.<>=\[\]!~&|^])""",
    re.VERBOSE | re.DOTALL,
)
_OPENING = frozenset(
    {
        "and", "or", "not", "in", "when", "then", "else", "case", "like", "ilike", "rlike", "regexp", "any", "some", "all", "over",
        "distinct", "from", "by", "as", "on", "using", "where", "having", "filter", "values", "union", "except", "intersect", "select",
        "join", "lateral", "group", "interval", "between", "exists", "decimal", "numeric", "dec", "char", "varchar", "sets",
    }
)  # fmt: skip
"""Words that may precede a bracket without being functions."""


_TYPED = (
    "date",
    "timestamp",
    "timestamp_ntz",
    "timestamp_ltz",
    "interval",
    "in",
    "like",
    "rlike",
    "and",
    "or",
    "not",
    "then",
    "else",
    "when",
)
"""Words that may touch a quote."""


class Impure(ValueError):
    """A text that is not allowed, with a remedy."""

    def __init__(self, what: str, remedy: str) -> None:
        """Create an error with what is wrong and the remedy."""
        self.what, self.remedy = what, remedy
        super().__init__(f"{what}; {remedy}")


@cache
def _functions() -> frozenset[str]:
    """Return the names of Spark's pure functions; a line that begins with # is a comment."""
    lines = files(__package__).joinpath("functions.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(name for line in lines if not line.startswith("#") for name in line.split())


def condition(text: str) -> None:
    """Check SQL that is true or false of one row.

    Raises:
        Impure: it is none, or does more than look at the row.
    """
    if is_plain(_tokens(text)):
        return
    (tree, *more) = expressions(text)
    if more:
        raise Impure("it is several expressions", "join conditions by 'and' or 'or'")
    exp: Any = _exp()
    if found := tree.find(exp.AggFunc, exp.Window):
        raise Impure(
            f"'{found.sql('spark')[:40]}' looks at many rows, and a condition is about one",
            "use a rule about the table",
        )


def expressions(text: str) -> list[Any]:
    """Check SQL expressions over the columns of one row, separated by commas; gives their trees.

    Raises:
        Impure: it is something else.
    """
    exp: Any = _exp()
    tree = _parsed(text, f"select {text}", 7)
    allowed = {"expressions", "kind"}
    if (
        type(tree) is not exp.Select
        or not tree.expressions
        or any(value for key, value in tree.args.items() if key not in allowed)
    ):
        raise Impure("it is no expression about one row", "write a condition such as: age > 20 and state = 'nsw'")
    found = list(tree.expressions)
    for one in found:
        if isinstance(one, exp.Alias) or one.find(exp.Query):
            raise Impure("it is no expression about one row", "a query goes into CustomSql, a name after 'as' nowhere")
        _check_nodes(one, queries=False)
    return found


def query(text: str) -> frozenset[str]:
    """Check one query; gives the names of the tables that it reads, as they are written.

    Raises:
        Impure: it is something else, or reads what has no plain name.
    """
    exp: Any = _exp()
    begins = re.match(r"[\s(]*(\w+)", text)
    tree = _parsed(text, text, 0) if begins and begins[1].lower() in ("select", "with", "from") else None
    if not isinstance(tree, exp.Query):
        raise Impure("it is no query", "write one that begins with 'select' or 'with'")
    _check_nodes(tree, queries=True)
    return _tables(tree)


def patterns(text: str) -> list[str]:
    """Return the regular expressions of a checked text."""
    if is_plain(_tokens(text)):
        return []
    exp: Any = _exp()
    found = []
    for tree in _sqlglot().parse(text, read="spark"):
        for node in tree.find_all(
            exp.RegexpLike, exp.RegexpILike, exp.RegexpExtract, exp.RegexpReplace, exp.RegexpExtractAll, exp.RegexpCount
        ):
            given = node.expression
            if isinstance(given, exp.Literal | exp.RawString) and isinstance(given.this, str):
                found.append(given.this)
    return found


def _parsed(text: str, whole: str, before: int) -> Any:
    """Parse a text whose tokens are allowed into one tree; ``whole`` is the text after ``before`` further characters."""
    tokens = _tokens(text)
    _check_calls(tokens)
    sqlglot = _sqlglot()
    try:
        seen = sqlglot.tokenize(whole, read="spark")
        trees = sqlglot.parse(whole, read="spark")
    except sqlglot.errors.SqlglotError as error:
        at = getattr(error, "errors", None) or [{}]
        near = str(at[0].get("highlight") or "")
        place = f" at '{near[:40]}'" if near else ""
        raise Impure(
            f"it does not parse{place}",
            "check quotes, commas and brackets; a name that is a word of SQL (order, case) goes in backticks",
        ) from None
    except RecursionError:
        raise Impure("it is nested too deeply", "write it with fewer brackets") from None
    ours = {token.start + before for token in tokens if token.kind in ("text", "quoted")}
    theirs = {token.start for token in seen if token.token_type.name in ("STRING", "RAW_STRING", "HEX_STRING")}
    theirs |= {token.start for token in seen if whole[token.start] == "`"}
    if ours != theirs:
        raise Impure("its quotes can be read in two ways", "write texts as 'text', and a quote inside of one as \\'")
    if len(trees) != 1 or trees[0] is None:
        raise Impure("it is not one expression or query", "write one")
    return trees[0]


def _tokens(text: str) -> list[Token]:
    if len(text) > LONGEST:
        raise Impure(f"it is longer than {LONGEST:,} characters", "split the rule")
    found, place, depth = [], 0, 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            sign = text[place]
            where = "a quote is not closed" if sign in "'\"`" else f"{sign!r} cannot stand here"
            remedy = {";": "one statement is all there is", "'": "close it"}.get(
                sign, "names of other letters go in backticks"
            )
            raise Impure(where, remedy)
        kind, token = str(match.lastgroup), match.group()
        if kind == "remark":
            raise Impure(f"'{token}' begins a comment or a hint", "comments go outside of the quotes, after #")
        if kind != "space":
            found.append(Token(kind, token, place))
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(token, 0)
        if depth < 0 or depth > DEEPEST:
            raise Impure(
                "a bracket is closed that was not opened" if depth < 0 else "too many brackets are open",
                "check brackets",
            )
        place = match.end()
    if depth:
        raise Impure("a bracket is not closed", "close it")
    if not found:
        raise Impure("it is empty", "write a condition, or leave it out")
    return found


def _check_calls(tokens: list[Token]) -> None:
    earlier = ""
    for before, token in pairwise([Token("sign", "", 0), *tokens]):
        if token.kind in ("word", "quoted") and token.text.strip("`").lower() in CALLER and before.text != ".":
            raise Impure(f"{token.text[:40]} looks outside of the rows", "compare columns with values")
    for before, token in pairwise(tokens):
        name = before.text.strip("`").lower()
        if token.text == "(" and before.kind in ("word", "quoted", "text"):
            opens = before.kind == "word" and (name in _OPENING or earlier == "as")  # as t(a, b): names of columns
            if before.kind == "text" or not (opens or name in _functions()):
                raise Impure(f"function '{name[:40]}' is not allowed in a rule", "docs/rules.md says which are")
        touching = before.kind == "word" and token.kind == "text" and before.start + len(before.text) == token.start
        if touching and name not in _TYPED:
            raise Impure(f"'{name[:40]}' stands before a quote", "put a space between them")
        if name == "table" and before.kind == "word" and token.kind in ("word", "quoted"):
            raise Impure(
                "'table NAME' is not allowed in a rule",
                "write: select * from NAME; a column named table goes in backticks",
            )
        if name == "using" and before.kind == "word" and token.text != "(":
            raise Impure("'using' names columns in brackets", "write: using (column)")
        if before.kind == "word" and name in ("from", "join") and token.kind == "text":
            raise Impure("a text is no table", "name 'primary' or one of the contract's references")
        earlier = name if before.kind == "word" else ""


def _check_nodes(tree: Any, queries: bool) -> None:
    exp: Any = _exp()
    allowed = _nodes() + (_query_nodes() if queries else ())
    for node in tree.walk():
        if (isinstance(node, exp.Query) and not queries) or not isinstance(node, allowed):
            raise Impure(
                f"{type(node).__name__.lower()} is not allowed in a rule", "use plain conditions, functions and joins"
            )
        if isinstance(node, exp.Parameter | exp.Placeholder | exp.SessionParameter | exp.QueryTransform):
            raise Impure("variables and scripts are not allowed in a rule", "write the value itself")


def _tables(tree: Any) -> frozenset[str]:
    """Return the names of tables that are no common table expressions, each of which may use earlier ones."""
    exp: Any = _exp()
    nested = [found for found in tree.find_all(exp.With) if found.parent is not tree]
    if nested:
        raise Impure("'with' inside of a query", "write it at the beginning")
    known: set[str] = set()
    found: set[str] = set()

    def add(part: Any) -> None:
        for table in part.find_all(exp.Table):
            if not isinstance(table.this, exp.Identifier) or table.args.get("db") or table.args.get("catalog"):
                name = table.sql("spark")[:60]
                raise Impure(f"'{name}' is no table of the contract", "name 'primary' or one of its references")
            if table.name.lower() not in known:
                found.add(table.name)

    with_ = next(iter(tree.find_all(exp.With)), None)
    if with_ is not None:
        if with_.args.get("recursive"):
            raise Impure("'with recursive' is not allowed in a rule", "write a plain query")
        for part in with_.expressions:
            add(part.this)
            if not isinstance(part.this, exp.Query):
                raise Impure("'with' names no query", "write: with NAME as (select ...)")
            known.add(part.alias.lower())
        with_.pop()
    add(tree)
    return frozenset(found)


def _sqlglot() -> Any:
    import sqlglot

    return sqlglot


def _exp() -> Any:
    from sqlglot import exp

    return exp


@cache
def _nodes() -> tuple[type, ...]:
    """Return the allowed node types of an expression."""
    exp: Any = _exp()
    return (
        exp.Condition, exp.Identifier, exp.DataType, exp.DataTypeParam, exp.Interval, exp.IntervalSpan, exp.Var, exp.Lambda, exp.Tuple,
        exp.PropertyEQ, exp.Distinct, exp.Order, exp.Ordered, exp.WindowSpec, exp.Star, exp.Alias, exp.Aliases, exp.If, exp.ColumnDef,
    )  # fmt: skip


@cache
def _query_nodes() -> tuple[type, ...]:
    """Return the allowed node types of a query, without those of expressions."""
    exp: Any = _exp()
    return (
        exp.Select, exp.From, exp.Where, exp.Group, exp.Having, exp.Join, exp.Table, exp.TableAlias, exp.Subquery, exp.With, exp.CTE,
        exp.SetOperation, exp.Filter, exp.WithinGroup, exp.Limit, exp.Offset, exp.Values, exp.Lateral, exp.Rollup, exp.Cube,
        exp.GroupingSets,
    )  # fmt: skip
