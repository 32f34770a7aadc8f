"""Check the protected rows before they are published: ``rules_after``, joins, and frequency analysis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataward.pipeline.context import Context
from dataward.pipeline.intake.base import Ready
from dataward.pipeline.refusals import against_output
from dataward.privacy.joins import Joined, joined
from dataward.privacy.utility import recoverable
from dataward.quality.judge import Options, Verdict, judge
from dataward.quality.risk import Crowd, distribution

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["Examined", "examine"]


@dataclass(frozen=True)
class Examined:
    """Results of the checks; ``reasons`` stop the run, ``warnings`` do not."""

    verdicts: tuple[Verdict, ...] = ()
    joins: tuple[Joined, ...] = ()
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    crowds: tuple[Crowd, ...] = ()

    def __str__(self) -> str:
        """Return the numbers of checks and warnings for the progress line."""
        counts = ("rule", len(self.verdicts)), ("join", len(self.joins)), ("warning", len(self.warnings))
        return (
            ", ".join(f"{count} {word}{'s' * (count != 1)}" for word, count in counts if count) or "nothing to warn of"
        )


def examine(ctx: Context, checked: Ready, raw: DataFrame, ready: DataFrame) -> Examined:
    """Check protected rows.

    Args:
        ctx: the run.
        checked: results of preflight.
        raw: the rows before protection.
        ready: the rows after protection.

    Raises:
        ContractError: a rule of ``rules_after`` does not fit the protected columns.
    """
    spark, plan, contract, now = ctx.spark, ctx.plan, ctx.contract, ctx.now
    references, columns = checked.pinned.frames, checked.columns
    reasons, warnings = [], []
    verdicts: tuple[Verdict, ...] = ()
    if plan.after.rules:
        suite = against_output(spark, plan, ready, references, now)
        options = Options(contract.engine, references, sensitive=columns.sensitive, seconds=contract.limits.seconds)
        judged = judge(spark, ready, suite, now, options)
        verdicts = judged.verdicts
        failed = [verdict for verdict in verdicts if verdict.action in ("stop", "quarantine")]
        reasons += [f"after protection: {verdict.rule}: {verdict.outcome}" for verdict in failed]
    joins = tuple(joined(spark, ready, join, other) for join, other in plan.joins)
    for result in joins:
        subject = f"join {result.column} with {result.other}"
        if not result.holds:
            reasons.append(f"{subject}: {result.share or 0:.2%} of its values are there, wanted: {result.wanted}")
        elif result.message:
            warnings.append(f"{subject}: {result.message}")
    if policy := contract.policy:
        for name, share in recoverable(raw, list(columns.guessable)).items():
            if share >= policy.frequency_share:
                message = (
                    f"{name}: frequency analysis recovers about {share:.0%} of its rows (few or skewed values under "
                    f"{columns.of(name).line.protect.op}); redact, generalize or encrypt_random prevent it"
                )
                (reasons if policy.frequency == "refuse" else warnings).append(message)
    crowds = distribution(ready, list(contract.quasi_identifiers)) if contract.quasi_identifiers else ()
    return Examined(tuple(verdicts), joins, tuple(reasons), tuple(warnings), crowds)
