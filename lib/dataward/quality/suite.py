"""A ruleset's statements as typed rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from dataward.errors import did_you_mean
from dataward.quality.conditions import Condition, Operand, Reference
from dataward.quality.dqdl import Analyzer, Joined, RuleError, Ruleset, Statement, read
from dataward.quality.rules import KINDS, Rule, composite
from dataward.quality.split import with_paths
from dataward.quality.statistics import ANALYZERS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["Composites", "Suite", "suite"]

Composites = Literal["row", "column"]


@dataclass(frozen=True)
class Suite:
    rules: tuple[Rule, ...] = ()
    analyzers: tuple[Analyzer, ...] = ()

    def typed(self, frame: DataFrame) -> Suite:
        """The same over the columns of a frame, paths into structs included."""
        types = dict(with_paths(frame, (name for rule in self.rules for name in rule.columns)).dtypes)
        return replace(self, rules=tuple(rule.typed(types) for rule in self.rules))


def suite(text: str, composites: Composites = "row") -> tuple[Suite, list[RuleError]]:
    """The rules of a ruleset and everything that is wrong with it; lines count from 1 within the text.

    A text that does not follow the grammar gives one error and no rules; a text that does gives an error for every
    statement that makes no rule.
    """
    try:
        said = read(text)
    except RuleError as error:
        return Suite(), [error]
    errors: list[RuleError] = []
    rules = _each(said.rules, errors, lambda node: _rule(_labelled(node, said), dict(said.constants), composites))
    analyzers = _each(said.analyzers, errors, lambda node: _analyzer(node, dict(said.constants)))
    return Suite(tuple(rules), tuple(analyzers)), errors


def _each(nodes: tuple[Any, ...], errors: list[RuleError], make: Callable[[Any], Any]) -> list[Any]:
    made = []
    for node in nodes:
        try:
            made.append(make(node))
        except RuleError as error:
            errors.append(error)
    return made


def _labelled(node: Statement | Joined, said: Ruleset) -> Statement | Joined:
    """With the ruleset's default labels, where the node's own do not override them."""
    return replace(node, labels=tuple({**dict(said.default_labels), **dict(node.labels)}.items()))


Constants = Mapping[str, Operand | tuple[Operand, ...]]


def _rule(node: Statement | Joined, constants: Constants, composites: Composites) -> Rule:
    if isinstance(node, Joined):
        parts = tuple(_rule(part, constants, composites) for part in node.parts)
        whole = Statement("Composite", labels=node.labels, line=node.line, text=node.text)
        return composite(whole, node.operator, parts, composites == "row")
    kind = KINDS.get(node.name)
    if kind is None:
        remedy = f"{node.name} stands in 'Analyzers = [...]'" if node.name in ANALYZERS else ""
        raise RuleError(node.line, f"unknown rule type '{node.name}'", remedy or did_you_mean(node.name, KINDS))
    rule = kind(_resolved(node, constants))
    rule.check_meaning()
    return rule


def _analyzer(node: Analyzer, constants: Constants) -> Analyzer:
    wanted = ANALYZERS.get(node.name)
    if wanted is None:
        raise RuleError(node.line, f"unknown analyzer '{node.name}'", did_you_mean(node.name, ANALYZERS))
    if not wanted.fits(len(node.parameters)):
        raise RuleError(node.line, f"{node.name} takes {wanted.columns} column(s)", f"not {len(node.parameters)}")
    return replace(node, parameters=tuple(_text(parameter, constants, node.line) for parameter in node.parameters))


def _resolved(node: Statement, constants: Constants) -> Statement:
    """With every ``$constant`` replaced by its value."""

    def condition(said: Condition) -> Condition:
        found: list[Operand] = []
        for operand in said.operands:
            value = _value(operand, constants, node.line) if isinstance(operand, Reference) else operand
            found += value if isinstance(value, tuple) else [value]
        return replace(said, operands=tuple(found))

    return replace(
        node,
        parameters=tuple(_text(parameter, constants, node.line) for parameter in node.parameters),
        condition=condition(node.condition) if node.condition else None,
        tags=tuple((name, condition(said)) for name, said in node.tags),
    )


def _text(parameter: str | Reference, constants: Constants, line: int) -> str:
    value = _value(parameter, constants, line) if isinstance(parameter, Reference) else parameter
    if not isinstance(value, str):
        raise RuleError(line, f"${getattr(parameter, 'name', '')} is no text", "a parameter is a text")
    return value


def _value(reference: Reference, constants: Constants, line: int) -> Operand | tuple[Operand, ...]:
    if reference.name not in constants:
        remedy = did_you_mean(reference.name, constants) or f'write {reference.name} = "..." above Rules'
        raise RuleError(line, f"there is no constant ${reference.name}", remedy)
    return constants[reference.name]
