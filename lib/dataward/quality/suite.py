"""Build rules from the statements of a ruleset."""

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
    """The rules and analyzers of a ruleset."""

    rules: tuple[Rule, ...] = ()
    analyzers: tuple[Analyzer, ...] = ()

    def typed(self, frame: DataFrame) -> Suite:
        """Return the suite for the column types of a frame, including paths into structs."""
        types = dict(with_paths(frame, (name for rule in self.rules for name in rule.columns)).dtypes)
        return replace(self, rules=tuple(rule.typed(types) for rule in self.rules))


def suite(text: str, composites: Composites = "row") -> tuple[Suite, list[RuleError]]:
    """Parse a ruleset; returns its rules, and all errors with lines from 1 within the text.

    A text that does not follow the grammar yields one error and no rules; otherwise every invalid statement yields an error.

    Args:
        text: DQDL.
        composites: evaluate ``and`` / ``or`` / ``not`` by row or by column.
    """
    try:
        ruleset = read(text)
    except RuleError as error:
        return Suite(), [error]
    errors: list[RuleError] = []
    rules = _each(
        ruleset.rules, errors, lambda node: _rule(_labelled(node, ruleset), dict(ruleset.constants), composites)
    )
    analyzers = _each(ruleset.analyzers, errors, lambda node: _analyzer(node, dict(ruleset.constants)))
    return Suite(tuple(rules), tuple(analyzers)), errors


def _each(nodes: tuple[Any, ...], errors: list[RuleError], make: Callable[[Any], Any]) -> list[Any]:
    """Build an object of each node; errors are appended to ``errors``."""
    built = []
    for node in nodes:
        try:
            built.append(make(node))
        except RuleError as error:
            errors.append(error)
    return built


def _labelled(node: Statement | Joined, ruleset: Ruleset) -> Statement | Joined:
    """Return the node with the ruleset's default labels, which the node's own labels override."""
    return replace(node, labels=tuple({**dict(ruleset.default_labels), **dict(node.labels)}.items()))


Constants = Mapping[str, Operand | tuple[Operand, ...]]


def _rule(node: Statement | Joined, constants: Constants, composites: Composites) -> Rule:
    if isinstance(node, Joined):
        parts = tuple(_rule(part, constants, composites) for part in node.parts)
        whole = Statement("Composite", labels=node.labels, line=node.line, text=node.text)
        return composite(whole, node.operator, parts, composites == "row")
    kind = KINDS.get(node.name)
    if kind is None:
        remedy = f"{node.name} belongs to 'Analyzers = [...]'" if node.name in ANALYZERS else ""
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
    """Return the statement with every ``$constant`` replaced by its value."""

    def condition(original: Condition) -> Condition:
        operands: list[Operand] = []
        for operand in original.operands:
            value = _value(operand, constants, node.line) if isinstance(operand, Reference) else operand
            operands += value if isinstance(value, tuple) else [value]
        return replace(original, operands=tuple(operands))

    return replace(
        node,
        parameters=tuple(_text(parameter, constants, node.line) for parameter in node.parameters),
        condition=condition(node.condition) if node.condition else None,
        tags=tuple((name, condition(original)) for name, original in node.tags),
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
