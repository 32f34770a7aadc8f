"""Decisions of a run that depend only on its contract and on counts of rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dataward.contract import Contract
from dataward.errors import ContractError
from dataward.pipeline.plan import Plan
from dataward.privacy.discover.gates import Looked
from dataward.quality.judge import Verdict

__all__ = ["REPLACING", "Counted", "gate", "reasons_of_counts", "reasons_to_stop"]

REPLACING = ("overwrite", "replace", "refresh")
"""Modes that remove rows of the target."""


@dataclass(frozen=True)
class Counted:
    """Rows of one run: ``whole`` in the source, ``read`` by this run (all, unless it refreshes), and ``diverted`` of those read."""

    whole: int
    read: int
    diverted: int


def reasons_of_counts(contract: Contract, rows: Counted, part_of_many: bool = False) -> list[str]:
    """Return the reasons to stop a run that would publish nothing, or divert more than the contract allows.

    ``part_of_many``: the rows are a micro-batch or released from the quarantine; all of them may be diverted.
    """
    reasons = []
    limits, target = contract.limits, contract.target
    if limits.empty == "stop":
        allow = "if that is meant, say 'limits: {empty: allow}' in the contract"
        if not rows.whole and target.mode in REPLACING:
            reasons.append(
                f"limits.empty: the source has no rows, and mode {target.mode} would replace those of the target by none; {allow}"
            )
        elif rows.read and rows.diverted == rows.read and not part_of_many:
            reasons.append(
                f"limits.empty: all {rows.read:,} rows fail a rule or are malformed, so that none is left to publish; "
                f"see why in the report, and {allow}"
            )
    if limits.quarantined is not None and rows.read and rows.diverted / rows.read > limits.quarantined:
        share = rows.diverted / rows.read
        reasons.append(f"limits.quarantined: {share:.2%} of the rows would be diverted, over {limits.quarantined:.2%}")
    if rows.diverted and contract.quarantine is None:
        reasons.append(
            f"{rows.diverted} rows are to be diverted and the contract names no quarantine: add one, or 'drop: true'"
        )
    return reasons


def reasons_to_stop(
    contract: Contract, verdicts: Iterable[Verdict], rows: Counted, part_of_many: bool = False
) -> list[str]:
    """Return the reasons to stop from verdicts and counts."""
    failed = [
        f"{verdict.rule}: {verdict.outcome}" + (f" ({verdict.message})" if verdict.message else "")
        for verdict in verdicts
        if verdict.action == "stop"
    ]
    return failed + reasons_of_counts(contract, rows, part_of_many)


def gate(plan: Plan, looked: Looked) -> tuple[list[str], list[str]]:
    """Return the reasons to stop and the warnings about sensitive data in a sample of the output.

    Raises:
        ContractError: a column looks sensitive and is not in the contract.
    """
    problems = looked.problems(plan.document.file, plan.document.line_of(("columns",)))
    if plan.contract.discovery.gate == "warn":
        return [], [*looked.warnings, *(problem.what for problem in problems), *looked.residue]
    if problems:
        raise ContractError(problems)
    return [f"discovery: {residue}" for residue in looked.residue], looked.warnings
