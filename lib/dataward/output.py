"""What is asked of the protected rows before anyone may read them: ``rules_after``, joins, and what counting gives away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from dataward.plan import Plan, against_output
from dataward.privacy.joins import Joined, joined
from dataward.privacy.risk import Crowd, distribution
from dataward.privacy.utility import recoverable
from dataward.quality.judge import Verdict, judge

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Examined", "examine"]


@dataclass(frozen=True)
class Examined:
    """``reasons`` stop the run, ``warnings`` do not."""

    verdicts: tuple[Verdict, ...] = ()
    joins: tuple[Joined, ...] = ()
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    crowds: tuple[Crowd, ...] = ()

    def __str__(self) -> str:
        counts = ("rule", len(self.verdicts)), ("join", len(self.joins)), ("warning", len(self.warnings))
        return (
            ", ".join(f"{count} {word}{'s' * (count != 1)}" for word, count in counts if count) or "nothing to warn of"
        )


def examine(
    spark: SparkSession,
    plan: Plan,
    raw: DataFrame,
    ready: DataFrame,
    references: Mapping[str, DataFrame],
    now: datetime,
    guessable: Iterable[str],
) -> Examined:
    """Examine rows before (``raw``) and after protection; ``guessable`` are the columns under deterministic protection.

    Raises:
        ContractError: a rule after does not fit the protected columns.
    """
    contract = plan.contract
    reasons, warnings = [], []
    verdicts: tuple[Verdict, ...] = ()
    if plan.after.rules:
        suite = against_output(spark, plan, ready, references, now)
        sensitive = [name for name in ready.columns if contract.sensitive(name)]
        seconds = contract.limits.seconds
        judged = judge(spark, ready, suite, now, contract.engine, references, sensitive=sensitive, seconds=seconds)
        verdicts = judged.verdicts
        wrong = [verdict for verdict in verdicts if verdict.action in ("stop", "quarantine")]
        reasons += [f"after protection: {verdict.rule}: {verdict.outcome}" for verdict in wrong]
    joins = tuple(joined(spark, ready, join, other) for join, other in plan.joins)
    for found in joins:
        asked = f"join {found.column} with {found.other}"
        if not found.holds:
            reasons.append(f"{asked}: {found.share or 0:.2%} of its values are there, wanted: {found.wanted}")
        elif found.message:
            warnings.append(f"{asked}: {found.message}")
    if policy := contract.policy:
        for name, share in recoverable(raw, list(guessable)).items():
            if share >= policy.frequency_share:
                told = (
                    f"{name}: about {share:.0%} of its rows can be told by counting (few or skewed values under "
                    f"{contract.line(name).protect.op}); redact, generalize or encrypt_random would not give them away"
                )
                (reasons if policy.frequency == "refuse" else warnings).append(told)
    crowds = distribution(ready, list(contract.quasi_identifiers)) if contract.quasi_identifiers else ()
    return Examined(tuple(verdicts), joins, tuple(reasons), tuple(warnings), crowds)
