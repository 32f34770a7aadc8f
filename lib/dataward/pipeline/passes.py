"""The passes of a publish over its source and its target, in order, from the contract, the rules and the columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dataward.contract import Contract
from dataward.pipeline.intake.whole import TOGETHER
from dataward.pipeline.repair import steps
from dataward.privacy.protect import ColumnPlan
from dataward.quality.explain import Explanation
from dataward.quality.rules import RowRule
from dataward.quality.suite import Suite

__all__ = ["Pass", "passes"]

Over = Literal["source", "sample", "protected rows", "target", "other table"]


@dataclass(frozen=True)
class Pass:
    """One pass.

    Attributes:
        over: the table that it reads.
        what: its purpose.
        when: the condition under which it runs; empty: always.
    """

    over: Over
    what: str
    when: str = ""


def passes(columns: ColumnPlan, suite: Suite, judging: Explanation) -> tuple[Pass, ...]:
    """Return the passes of a publish.

    Args:
        columns: the decisions about the source's columns.
        suite: the rules.
        judging: how the rules are measured.
    """
    contract = columns.contract
    return (
        *_before_judging(contract, columns, judging),
        Pass("source", f"judge {judging}"),
        *_diverting(contract, suite),
        *_looking(contract),
        *_examining(contract, columns),
        *_writing(contract),
        *_after(contract),
    )


def _before_judging(contract: Contract, columns: ColumnPlan, judging: Explanation) -> list[Pass]:
    found = []
    if contract.treat:
        found.append(Pass("source", f"judge before the repairs: {judging}"))
        own = [treatment for cost, treatment in steps(contract.treat) if cost not in ("with the scan", "Arrow")]
        found += [Pass("source", f"repair {treatment}") for treatment in own]
    if stopping := columns.stopping():
        found.append(Pass("sample", f"try the protection of {', '.join(stopping)}"))
    return found


def _diverting(contract: Contract, suite: Suite) -> list[Pass]:
    """Return the pass that counts diverted rows, needed where a row can fail several rules and one of them compares rows."""
    rules = [rule for rule in suite.rules if isinstance(rule, RowRule) and not rule.warns_only]
    if contract.target.mode == "refresh" and rules:
        return [Pass("source", "count the rows to divert", "a row fails")]
    if any(rule.flags() for rule in rules) or len(rules) > TOGETHER:
        return [
            Pass("source", "count the rows to divert", "a row fails a rule about other rows, or rows fail many rules")
        ]
    return []


def _looking(contract: Contract) -> list[Pass]:
    if contract.discovery.gate == "off":
        return []
    return [Pass("sample", "look for sensitive data", "a column leaves the job readable")]


def _examining(contract: Contract, columns: ColumnPlan) -> list[Pass]:
    found = [Pass("protected rows", "judge rules_after")] if contract.rules_after.strip() else []
    found += [Pass("other table", f"join {join.column} with {join.with_}") for join in contract.joins]
    if contract.policy and columns.guessable:
        found.append(Pass("source", f"count the frequencies of {', '.join(columns.guessable)}"))
    if contract.quasi_identifiers:
        found.append(Pass("protected rows", f"count the crowds of {', '.join(contract.quasi_identifiers)}"))
    return found


def _writing(contract: Contract) -> list[Pass]:
    found = []
    if contract.quarantine_location is not None:
        found.append(
            Pass("source", f"protect the failed rows and append them to {contract.quarantine_location}", "a row fails")
        )
    if contract.changes_location is not None:
        found.append(Pass("source", f"append changed cells to {contract.changes_location}"))
    if contract.target.mode == "merge":
        found.append(Pass("target", f"find the rows with equal {', '.join(contract.target.on)}"))
    found.append(
        Pass("source", f"protect the rows that pass and write them to {contract.target} ({contract.target.mode})")
    )
    return found


def _after(contract: Contract) -> list[Pass]:
    found = [Pass("source", "measure the rules by window")] if contract.windows else []
    if contract.parity:
        found += [Pass("source", "measure what protection keeps"), Pass("target", "measure what protection keeps")]
    return found
