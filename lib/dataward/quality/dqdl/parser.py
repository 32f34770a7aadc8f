r"""Parse DQDL by the grammar in ``grammar.lark``.

Strings keep their backslashes, as in Glue (only ``\"`` becomes ``"``), so that regular expressions need no further escapes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal, DecimalException
from functools import cache
from typing import Any, cast

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken, VisitError

from dataward.errors import did_you_mean
from dataward.quality.conditions import (
    EMPTY,
    NULL,
    UNITS,
    WHITESPACES_ONLY,
    Arithmetic,
    Call,
    Condition,
    Moment,
    Operand,
    Reference,
    Size,
)
from dataward.quality.dqdl.syntax import Analyzer, Comment, Joined, RuleError, Ruleset, Statement
from dataward.quality.dqdl.tables import parser

__all__ = ["read"]

SECONDS = {"minute": 60, "hour": 3600, "day": 86400}
FURTHEST = timedelta(days=200_000)  # in both directions, so that years keep four digits
NOT = object()
COMMENTS: list[Token] = []  # the lexer collects the comments of the present text here


@cache
def _parser() -> Lark:
    return parser({"COMMENT": lambda token: COMMENTS.append(token) or token})  # type: ignore[func-returns-value]


def read(text: str) -> Ruleset:
    """Parse a ruleset.

    Raises:
        RuleError: the text does not follow the grammar; the message has line, column and the expected symbols.
    """
    COMMENTS.clear()
    try:
        tree = _parser().parse(text)
        return cast(Ruleset, _Reader(text, list(COMMENTS)).transform(tree))
    except UnexpectedInput as error:
        raise _syntax_error(error, text) from None
    except VisitError as error:
        if isinstance(error.orig_exc, RuleError):
            raise error.orig_exc from None
        raise
    except RecursionError:
        raise RuleError(1, "the ruleset is nested too deeply", "split the rule") from None


WORDS = ("between", "in", "matches", "not", "where", "with", "threshold", "labels")
"""Words of the grammar that stand within a rule, for those that are misspelt."""


def _syntax_error(error: UnexpectedInput, text: str) -> RuleError:
    if not re.search(r"\b(Rules|Analyzers)\s*=", text):
        return RuleError(1, "column 1: there is no 'Rules = [ ... ]' here", "write Rules = [ ... ] around the rules")
    if isinstance(error, UnexpectedEOF) or (isinstance(error, UnexpectedToken) and error.token.type == "$END"):
        return RuleError(text.count("\n") + 1, "the ruleset ends too early", "close it with ']'")
    if isinstance(error, UnexpectedToken):
        what = f"column {error.column}: '{error.token}' cannot stand here"
        return RuleError(error.line, what, _meant(error.token, text) + _expected(error.accepts or error.expected))
    assert isinstance(error, UnexpectedCharacters)  # noqa: S101 - the only remaining class
    character = text[error.pos_in_stream or 0]
    what = f"column {error.column}: {character!r} cannot stand here"
    remedy = "close the text with a quote" if character == '"' else ""
    return RuleError(error.line, what, remedy or _expected(error.allowed or ()))


def _meant(token: Token, text: str) -> str:
    """Return the word that is probably meant by a token that cannot stand in its place, or by the word before it; empty for none."""
    before = re.search(r"([A-Za-z]+)\s*$", text[: token.start_pos or 0])
    for word, place in ((str(token), ""), (before[1] if before else "", "before it, ")):
        if word and word.lower() not in WORDS and (meant := did_you_mean(word, WORDS)):
            return f"{place}{meant} Else: "
    return ""


def _expected(terminals: Iterable[str]) -> str:
    wanted = sorted({_readable(name) for name in terminals}, key=lambda name: (name.startswith("'"), name))
    return f"expected {' or '.join(wanted[:6])}"


def _readable(terminal: str) -> str:
    names = {
        "LSQB": "'['",
        "RSQB": "']'",
        "LPAR": "'('",
        "RPAR": "')'",
        "COMMA": "','",
        "_BETWEEN": "','",
        "EQUAL": "'='",
        "DOLLAR": "'$'",
        "STRING": "a quoted text",
        "NUMBER": "a number",
        "NAME": "a name",
        "COMPARE": "a comparison",
        "CONNECTOR": "'and'",
        "PLUS_MINUS": "'+'",
        "TIMES": "'*'",
        "RULES": "'Rules'",
        "$END": "the end",
    }
    if terminal in names:
        return names[terminal]
    return f"'{_parser().get_terminal(terminal).pattern.value}'"


def _unquoted(token: Token) -> str:
    return str(token)[1:-1].replace('\\"', '"')


class _Reader(Transformer[Token, Any]):
    """Transformer of the tree to a :class:`Ruleset`, bottom up."""

    def __init__(self, text: str, comments: list[Token]) -> None:
        super().__init__()
        self.source = text
        self.found = comments

    # operands
    def number(self, children: list[Token]) -> Operand:
        return Decimal(str(children[0]))

    def quantity(self, children: list[Any]) -> Operand:
        count, unit = Decimal(str(children[0])), str(children[1].children[0])
        try:
            if unit in UNITS:
                return Size(int(count * UNITS[unit]))
            return timedelta(seconds=round(count * SECONDS[unit.rstrip("s")]))
        except (OverflowError, DecimalException):
            raise RuleError(children[0].line or 1, f"{children[0]} {unit} is too much", "") from None

    def quoted(self, children: list[Token]) -> Operand:
        return _unquoted(children[0])

    def null(self, children: list[Token]) -> Operand:
        return NULL

    def empty(self, children: list[Token]) -> Operand:
        return EMPTY

    def whitespaces_only(self, children: list[Token]) -> Operand:
        return WHITESPACES_ONLY

    def reference(self, children: list[Token]) -> Reference:
        return Reference(str(children[0]))

    variable = reference

    def call(self, children: list[Any]) -> Operand:
        name, arguments = str(children[0]), tuple(children[1:])
        return Moment() if name == "now" and not arguments else Call(name, arguments)

    @v_args(meta=True)
    def arithmetic(self, meta: Any, children: list[Any]) -> Operand:
        left, sign, right = children
        operator = str(sign)
        if isinstance(left, Moment) and isinstance(right, timedelta) and operator in "+-":
            if abs(right) > FURTHEST:
                raise RuleError(
                    meta.line, f"now() cannot be moved by more than {FURTHEST.days:,} days", "write a moment nearer"
                )
            return Moment(left.offset + (right if operator == "+" else -right))
        plain = (Decimal, Call, Arithmetic)
        if not isinstance(left, plain) or not isinstance(right, plain):
            raise RuleError(meta.line, f"'{operator}' joins numbers, or now() and a duration", "")
        if isinstance(left, Decimal) and isinstance(right, Decimal):
            try:
                return {"+": left.__add__, "-": left.__sub__, "*": left.__mul__, "/": left.__truediv__}[operator](right)
            except DecimalException:
                raise RuleError(meta.line, f"{left} {operator} {right} is no number", "") from None
        return Arithmetic(operator, left, right)

    def several(self, children: list[Any]) -> tuple[Operand, ...]:
        return tuple(children)

    # conditions
    def compare(self, children: list[Any]) -> Condition:
        operands = children[1] if isinstance(children[1], tuple) else (children[1],)
        return Condition(cast(Any, str(children[0])), operands)

    def not_(self, children: list[Token]) -> object:
        return NOT

    def _negatable(self, operator: Any, children: list[Any]) -> Condition:
        negated = children[0] is NOT
        operands = tuple(children[1:] if negated else children)
        several = len(operands) == 1 and isinstance(operands[0], tuple)
        return Condition(operator, operands[0] if several else operands, negated)

    def between(self, children: list[Any]) -> Condition:
        return self._negatable("between", children)

    def among(self, children: list[Any]) -> Condition:
        return self._negatable("in", children)

    def matches(self, children: list[Any]) -> Condition:
        condition = self._negatable("matches", children)
        (pattern,) = condition.operands
        return replace(condition, operands=(_unquoted(pattern) if isinstance(pattern, Token) else pattern,))

    # statements
    def parameter(self, children: list[Any]) -> tuple[str, Any]:
        last = children[-1]
        if isinstance(last, Reference):
            return ("parameter", last)
        return ("parameter", _unquoted(last) if last.type == "STRING" else str(last))

    def where(self, children: list[Token]) -> tuple[str, str]:
        return ("where", _unquoted(children[0]))

    def tag(self, children: list[Any]) -> tuple[str, Any]:
        return ("tag", (str(children[0]), children[1]))

    def label(self, children: list[Token]) -> tuple[str, str]:
        return (_unquoted(children[0]), _unquoted(children[1]))

    def labels(self, children: list[Any]) -> tuple[Any, ...]:
        return tuple(children)

    @v_args(meta=True)
    def simple(self, meta: Any, children: list[Any]) -> Statement:
        name, *parts = children
        condition = next((part for part in parts if isinstance(part, Condition)), None)
        clauses = [part for part in parts if isinstance(part, tuple)]
        return Statement(
            str(name),
            tuple(value for kind, value in clauses if kind == "parameter"),
            condition,
            next((value for kind, value in clauses if kind == "where"), None),
            tuple(value for kind, value in clauses if kind == "tag"),
            line=meta.line,
            text=self._written(meta),
        )

    @v_args(meta=True)
    def conjunction(self, meta: Any, children: list[Any]) -> Joined:
        return Joined("and", tuple(children), line=meta.line, text=self._written(meta))

    @v_args(meta=True)
    def disjunction(self, meta: Any, children: list[Any]) -> Joined:
        return Joined("or", tuple(children), line=meta.line, text=self._written(meta))

    @v_args(meta=True)
    def negation(self, meta: Any, children: list[Any]) -> Joined:
        return Joined("not", (children[1],), line=meta.line, text=self._written(meta))

    @v_args(meta=True)
    def analyzer(self, meta: Any, children: list[Any]) -> tuple[Analyzer, Any]:
        parameters = tuple(value for _, value in children[1:])
        return Analyzer(str(children[0]), parameters, line=meta.line, text=self._written(meta)), meta

    @v_args(meta=True)
    def entry(self, meta: Any, children: list[Any]) -> tuple[Any, Any]:
        return replace(children[0], labels=children[1]) if len(children) > 1 else children[0], meta

    # the document
    def pair(self, children: list[Token]) -> tuple[str, Any]:
        key, *values = map(_unquoted, children)
        return (key, values[0] if len(values) == 1 else tuple(values))

    def dictionary(self, children: list[Any]) -> tuple[Any, ...]:
        return tuple(children)

    def metadata(self, children: list[Any]) -> tuple[str, Any]:
        return ("metadata", children[0])

    def sources(self, children: list[Any]) -> tuple[str, Any]:
        return ("sources", children[0])

    def constant(self, children: list[Any]) -> tuple[str, Any]:
        return ("constant", (str(children[0]), children[1]))

    def default_labels(self, children: list[Any]) -> tuple[str, Any]:
        return ("default_labels", tuple(children))

    @v_args(meta=True)
    def rules(self, meta: Any, children: list[Any]) -> tuple[str, Any]:
        return ("Rules", (meta, children))

    @v_args(meta=True)
    def analyzers(self, meta: Any, children: list[Any]) -> tuple[str, Any]:
        return ("Analyzers", (meta, children))

    def start(self, children: list[tuple[str, Any]]) -> Ruleset:
        sections: dict[str, Any] = {"metadata": (), "sources": (), "default_labels": (), "Rules": [], "Analyzers": []}
        constants: dict[str, Any] = {}
        spans: list[tuple[str, Any, list[Any]]] = []
        for kind, value in children:
            if kind == "constant":
                constants[value[0]] = value[1]
            elif kind in ("Rules", "Analyzers"):
                first = len(sections[kind])
                sections[kind] += [node for node, _ in value[1]]
                spans.append((kind, value[0], [(first + n, meta) for n, (_, meta) in enumerate(value[1])]))
            else:
                sections[kind] = value
        return Ruleset(
            tuple(sections["Rules"]),
            tuple(sections["Analyzers"]),
            tuple(constants.items()),
            sections["default_labels"],
            sections["metadata"],
            sections["sources"],
            tuple(_placed(token, spans) for token in self.found),
        )

    def _written(self, meta: Any) -> str:
        """Return the original text of a statement on one line."""
        return " ".join(self.source[meta.start_pos : meta.end_pos].split())


def _placed(token: Token, spans: list[tuple[str, Any, list[Any]]]) -> Comment:
    """Return a comment with its entry: the one that ends on the same line, else the next one."""
    text, place, line = str(token).rstrip(), token.start_pos or 0, token.line or 1
    for section, whole, entries in spans:
        if place < whole.start_pos:
            return Comment(text, "head", 0, trailing=False)
        if place >= whole.end_pos:
            continue
        for number, meta in reversed(entries):
            if meta.end_line == line and meta.end_pos <= place:
                return Comment(text, section, number, trailing=True)
        after = [number for number, meta in entries if meta.end_pos > place]
        last = entries[-1][0] + 1 if entries else 0
        return Comment(text, section, after[0] if after else last, trailing=False)
    return Comment(text, "tail", 0, trailing=False)
