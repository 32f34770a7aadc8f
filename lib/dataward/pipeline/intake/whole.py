"""Take in a whole source; the other intakes override parts of this one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from dataward.errors import ProtectionError
from dataward.pipeline import resume
from dataward.pipeline.account import Rows
from dataward.pipeline.context import Context
from dataward.pipeline.decide import Counted
from dataward.pipeline.intake.base import Judged, Pinned, Ready, Split
from dataward.pipeline.repair import Mended
from dataward.pipeline.replaced import replaced_partition
from dataward.privacy.protect import attempt
from dataward.quality.internal import SOURCE_ROW
from dataward.quality.judge import Measuring, Options, judge
from dataward.quality.measuring import risky
from dataward.quality.metrics import Metric
from dataward.quality.rules import RowRule, Rule
from dataward.quality.split import failed_rows, with_paths

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["WholeTable"]

TOGETHER = 40
"""Most rules whose failing rows are counted together in the scan, which evaluates each of them twice."""


class WholeTable:
    """Every row of the source at one version."""

    part_of_many = False
    beside: ClassVar[frozenset[str]] = frozenset({"history", "quarantine", "changes", "windows"})

    @property
    def releases(self) -> str | None:
        """Release nothing."""
        return None

    def pin(self, ctx: Context) -> Pinned:
        """Pin source and references; for a rerun, at the versions that the run began with."""
        resume.no_stream_before(ctx.spark, ctx.contract, ctx.target)
        source, references = resume.pinned(ctx.spark, ctx.contract, ctx.run_id, ctx.earlier.metadata)
        return Pinned(source, references, source.described, ctx.contract.target.mode == "overwrite")

    def rows(self, ctx: Context, pinned: Pinned) -> DataFrame:
        """Return every row."""
        return pinned.source.frame

    def try_protections(self, ctx: Context, ready: Ready, mended: Mended) -> None:
        """Protect some rows before the long passes, so that a value which stops the run is found within seconds.

        Rows that a rule will divert are not tried. Duplicates are searched only where a value was refused.

        Raises:
            ProtectionError: a value that would be published cannot be protected.
        """
        columns = ready.columns.stopping()
        if not columns:
            return
        rules = [rule for rule in ready.suite.rules if isinstance(rule, RowRule) and not rule.warns_only]
        alone = [rule for rule in rules if not rule.flags()]
        with ctx.trace.phase("try") as say:
            say(", ".join(columns))
            try:
                attempt(ready.columns, mended.parted(alone, ctx.now)[0], columns)
            except ProtectionError:
                if alone == rules:
                    raise
                if ready.pinned.refresh is None:  # else duplicates may be in partitions that are not read
                    attempt(ready.columns, mended.parted(rules, ctx.now)[0], columns)

    def judge(self, ctx: Context, ready: Ready, mended: Mended) -> Judged:
        """Judge with the contract's engine."""
        judgement = self._verdicts(ctx, ready, mended)
        return Judged(ready, judgement, mended.counted(ready.columns, judgement), str(judgement))

    def _verdicts(self, ctx: Context, ready: Ready, mended: Mended, measure: Measuring | None = None) -> Any:
        contract = ctx.contract
        options = Options(
            contract.engine,
            ready.pinned.frames,
            contract.checks,
            sensitive=ready.columns.sensitive,
            internal=tuple(mended.internal),
            estimate=ready.columns.guessable,
            count=tuple(mended.metrics),
            also=tuple(filter(None, [None if measure else _diverted(ctx, ready, mended)])),
            past=ready.past,
            measure=measure,
            seconds=contract.limits.seconds,
        )
        return judge(ctx.spark, mended.frame, ready.suite, ctx.now, options)

    def count(self, ctx: Context, judged: Judged) -> Counted:
        """Count the rows; a separate job where neither the verdicts nor the key hashes give the count of overlapping rules."""
        judgement, mended = judged.judgement, judged.mended
        whole = judgement.rows + mended.rows_diverted
        together = [rule for rule in judgement.diverting if _judged_alone(rule)]
        metric = _diverted(ctx, judged.ready, mended)
        of_all = judgement.counted.get(metric) if metric else None
        by_key = ctx.contract.engine == "spark" and any(rule.flags() for rule in judgement.diverting)
        if len(judgement.diverting) > 1 and len(together) == len(judgement.diverting) and of_all is not None:
            failed = int(of_all)
        elif len(judgement.diverting) > 1 or by_key:
            failed = failed_rows(mended.frame, judgement.diverting, ctx.now)
        else:
            failed = sum(one.failed_rows or 0 for one in judgement.verdicts if one.action == "quarantine")
        return Counted(whole, whole, failed + mended.rows_diverted)

    def split(self, ctx: Context, judged: Judged) -> Split:
        """Split the rows by the rules that divert."""
        good, bad = judged.mended.parted(judged.judgement.diverting, ctx.now)
        return Split(good.drop(SOURCE_ROW), bad)

    def marks(self, ctx: Context, pinned: Pinned) -> dict[str, Any]:
        """Name the partition that mode ``replace`` replaces."""
        partition = ctx.contract.target.partition
        return replaced_partition(partition) if partition else {}

    def swapped(self, pinned: Pinned) -> str | None:
        """Return None: the contract's mode decides."""
        return None

    def nothing_left(self, judged: Judged, split: Split) -> Rows | None:
        """Return None: a version without rows is published too."""
        return None

    def account(self, judged: Judged, split: Split, published: int, quarantined: int) -> Rows:
        """Account for the rows that the run took in."""
        return Rows(judged.counted.read, published, quarantined, judged.dropped)

    def after_commit(self, ctx: Context, judged: Judged, split: Split) -> None:
        """Do nothing more."""


def _judged_alone(rule: Rule) -> bool:
    """Return whether a rule judges each row alone, and quickly."""
    return isinstance(rule, RowRule) and not rule.warns_only and not rule.flags() and not risky(rule)


def _diverted(ctx: Context, ready: Ready, mended: Mended) -> Metric | None:
    """Return the metric that counts the rows failing any diverting rule; None where it would not save a pass."""
    rules = [rule.recalled(ready.past, ctx.now) for rule in ready.suite.rules if _judged_alone(rule)]
    if not 2 <= len(rules) <= TOGETHER or any(rule.awaits for rule in rules):
        return None
    types = dict(with_paths(mended.frame, (name for rule in rules for name in rule.columns)).dtypes)
    fails = (f"not coalesce({cast(RowRule, rule.typed(types)).outcome(ctx.now)}, true)" for rule in rules)
    return Metric("size", where=" or ".join(fails))
