"""DQDL text to typed rules, by the grammar in ``dqdl.lark``.

Strings keep their backslashes, as in Glue (only ``\\"`` becomes ``"``), so a regular expression is written as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, cast

from lark import Lark, Token, Transformer, Tree, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken, VisitError

from dataward.errors import did_you_mean
from dataward.quality.conditions import EMPTY, NULL, WHITESPACES_ONLY, Condition, Moment, Operand
from dataward.quality.rules import KINDS, NOT_YET, Rule, RuleError, Statement
from dataward.quality.rules.composite import composite

__all__ = ["parse"]

SECONDS = {"minute": 60, "hour": 3600, "day": 86400}
NOT = object()


@cache
def _parser() -> Lark:
    grammar = Path(__file__).with_name("dqdl.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", propagate_positions=True, maybe_placeholders=False)


def parse(text: str) -> tuple[list[Rule], list[RuleError]]:
    """The rules of a ruleset and everything that is wrong with it; lines count from 1 within the text.

    A text that does not follow the grammar gives one error (with what was expected there) and no rules; a text that
    does gives an error for every statement that makes no rule.
    """
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        return [], [_syntax_error(error, text)]
    maker = _RuleMaker(text)
    rules: list[Rule] = []
    for entry in tree.children:
        try:
            rules.append(cast(Rule, maker.transform(cast("Tree[Token]", entry))))
        except VisitError as error:
            if not isinstance(error.orig_exc, RuleError):
                raise
            maker.errors.append(error.orig_exc)
    return rules, maker.errors


def _syntax_error(error: UnexpectedInput, text: str) -> RuleError:
    if isinstance(error, UnexpectedEOF) or (isinstance(error, UnexpectedToken) and error.token.type == "$END"):
        return RuleError(text.count("\n") + 1, "the ruleset ends too early", "close it with ']'")
    if isinstance(error, UnexpectedToken):
        what = f"column {error.column}: '{error.token}' cannot stand here"
        return RuleError(error.line, what, _expected(error.accepts or error.expected))
    assert isinstance(error, UnexpectedCharacters)  # noqa: S101 - the only kind left
    character = text[error.pos_in_stream or 0]
    what = f"column {error.column}: {character!r} cannot stand here"
    remedy = "close the text with a quote" if character == '"' else ""
    return RuleError(error.line, what, remedy or _expected(error.allowed or ()))


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
        "EQUAL": "'='",
        "DOLLAR": "'$'",
        "STRING": "a quoted text",
        "SIGNED_NUMBER": "a number",
        "NAME": "a name",
        "COMPARE": "a comparison",
        "RULES": "'Rules'",
        "$END": "the end",
    }
    if terminal in names:
        return names[terminal]
    return f"'{_parser().get_terminal(terminal).pattern.value}'"


class _RuleMaker(Transformer[Token, Any]):
    """Turns one entry of the tree into a rule, bottom up."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.errors: list[RuleError] = []

    def _unquoted(self, token: Token) -> str:
        return str(token)[1:-1].replace('\\"', '"')

    # operands
    def number(self, children: list[Token]) -> Operand:
        return Decimal(str(children[0]))

    def duration(self, children: list[Any]) -> Operand:
        return timedelta(seconds=float(children[0]) * children[1])

    def quoted(self, children: list[Token]) -> Operand:
        return self._unquoted(children[0])

    def null(self, children: list[Token]) -> Operand:
        return NULL

    def empty(self, children: list[Token]) -> Operand:
        return EMPTY

    def whitespaces_only(self, children: list[Token]) -> Operand:
        return WHITESPACES_ONLY

    def constant(self, children: list[Token]) -> Operand:
        raise RuleError(
            children[0].line or 1, f"constants such as ${children[0]} are not supported yet", "write it out"
        )

    def call(self, children: list[Any]) -> Operand:
        if str(children[0]) == "now" and len(children) == 1:
            return Moment()
        remedy = did_you_mean(str(children[0]), ["now"]) or "compare with a fixed value"
        raise RuleError(children[0].line, f"{children[0]}(...) is not supported yet", remedy)

    def shifted(self, children: list[Any]) -> Operand:
        name, sign, count, unit = children
        if str(name) != "now":
            raise RuleError(name.line or 1, f"{name}() is unknown", "write (now() - 3 days)")
        span = timedelta(seconds=float(count) * unit)
        return Moment(-span if str(sign) == "-" else span)

    # conditions
    def compare(self, children: list[Any]) -> Condition:
        return Condition(cast(Any, str(children[0])), (children[1],))

    def not_(self, children: list[Token]) -> object:
        return NOT

    def unit(self, children: list[Token]) -> int:
        return SECONDS[str(children[0]).rstrip("s")]

    def _negatable(self, operator: Any, children: list[Any]) -> Condition:
        negated = children[0] is NOT
        return Condition(operator, tuple(children[1:] if negated else children), negated)

    def between(self, children: list[Any]) -> Condition:
        return self._negatable("between", children)

    def among(self, children: list[Any]) -> Condition:
        return self._negatable("in", children)

    def matches(self, children: list[Any]) -> Condition:
        made = self._negatable("matches", children)
        return replace(made, operands=(self._unquoted(cast(Token, made.operands[0])),))

    # statements
    def word(self, children: list[Token]) -> tuple[str, str]:
        return ("parameter", str(children[0]))

    def where(self, children: list[Token]) -> tuple[str, str]:
        return ("where", self._unquoted(children[0]))

    def threshold(self, children: list[Any]) -> tuple[str, Condition]:
        name, condition = children
        if str(name) != "threshold":
            raise RuleError(name.line, f"'with {name}' is unknown", "write 'with threshold'")
        return ("threshold", condition)

    def label(self, children: list[Token]) -> tuple[str, str]:
        return (self._unquoted(children[0]), self._unquoted(children[1]))

    def labels(self, children: list[Any]) -> tuple[str, Any]:
        return ("labels", tuple(children))

    @v_args(meta=True)
    def simple(self, meta: Any, children: list[Any]) -> Rule:
        name, *parts = children
        fields: dict[str, Any] = {"name": str(name), "line": meta.line, "text": self._source(meta)}
        parameters = []
        for part in parts:
            if isinstance(part, Condition):
                fields["condition"] = part
            elif isinstance(part, str):
                parameters.append(part)
            elif part[0] == "parameter":
                parameters.append(part[1])
            else:
                fields[part[0]] = part[1]
        if fields["name"] in NOT_YET:
            raise RuleError(meta.line, f"{name} is not supported yet", "remove it, or say it with CustomSql")
        kind = KINDS.get(fields["name"])
        if kind is None:
            raise RuleError(meta.line, f"unknown rule type '{name}'", did_you_mean(str(name), KINDS))
        return kind(Statement(parameters=tuple(parameters), **fields))

    @v_args(meta=True)
    def conjunction(self, meta: Any, children: list[Any]) -> Rule:
        return self._joined(meta, "and", children)

    @v_args(meta=True)
    def disjunction(self, meta: Any, children: list[Any]) -> Rule:
        return self._joined(meta, "or", children)

    def _joined(self, meta: Any, operator: Any, parts: list[Any]) -> Rule:
        return composite(Statement("Composite", line=meta.line, text=self._source(meta)), operator, tuple(parts))

    @v_args(meta=True)
    def entry(self, meta: Any, children: list[Any]) -> Rule:
        rule: Rule = children[0]
        if len(children) == 1:
            return rule
        statement = replace(rule.statement, labels=children[1][1])
        return replace(rule, statement=statement)

    def _source(self, meta: Any) -> str:
        """The statement as it was written, on one line."""
        return " ".join(self.text[meta.start_pos : meta.end_pos].split())
