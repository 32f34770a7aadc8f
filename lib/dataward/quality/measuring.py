"""Rules measured together, and one by one where that failed or one of them may run away."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from dataward.errors import DataError, RunError, SourceError
from dataward.quality.backtracking import runs_away
from dataward.quality.metrics import Metric, Unmeasured, Values
from dataward.quality.rules import Rule
from dataward.spark.session import TimeIsUp, time_limit

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Patience", "measured", "risky"]

Given = TypeVar("Given")
SIZE = Metric("size")


def risky(rule: Rule) -> list[str]:
    """Patterns of a rule that can take exponentially long on some values."""
    return [pattern for leaf in rule.leaves() for pattern in leaf.patterns if runs_away(pattern)]


@dataclass
class Patience:
    """How long one rule may take; after one that took longer, none is begun: its tasks may still hold the executors."""

    spark: SparkSession
    seconds: int | None = None
    stopped: list[str] = field(default_factory=list)

    def allow(self, name: str, what: Callable[[], Given]) -> Given:
        """Do something for a rule.

        Raises:
            Unmeasured: it took too long, or something before it did.
        """
        if self.stopped:
            raise Unmeasured(f"not measured: {self.stopped[0]} was stopped before")
        try:
            with time_limit(self.spark, self.seconds):
                return what()
        except TimeIsUp:
            self.stopped.append(name)
            raise Unmeasured(f"stopped after {self.seconds} seconds (limits.seconds)") from None


def measured(
    run: Callable[[list[Metric]], Values],
    wanted: Sequence[Metric],
    rules: Iterable[Rule],
    now: datetime,
    patience: Patience,
    one_by_one: bool = True,
) -> Values:
    """Measure metrics: in one run, but for rules that may run away, where a time is set.

    Where the run failed as a whole and the rows can be counted, each rule is measured on its own, so that the one that
    failed is known. ``one_by_one``: whether ``run`` may be called several times.

    Raises:
        SourceError: the rows cannot be counted.
        RunError: they cannot be measured, and not one by one either.
        DataError: what is measured together took too long.
    """
    mine = {rule: rule.metrics(now) for rule in rules}
    apart = [rule for rule in mine if one_by_one and patience.seconds and risky(rule)]
    alone = {metric for rule in apart for metric in mine[rule]} - {SIZE}
    alone -= {metric for rule in mine if rule not in apart for metric in mine[rule]}
    together = [metric for metric in wanted if metric not in alone]
    named = [rule.text for rule, metrics in mine.items() if rule not in apart and metrics]
    try:
        values = patience.allow("another rule", lambda: run(together))
    except Unmeasured as error:
        more = f" and {len(named) - 5} more" if len(named) > 5 else ""
        raise DataError(f"{', '.join(named[:5])}{more}: {error}. Set it higher, or mend the rule") from None
    if SIZE not in values:
        values = _each(
            run, together, {rule: metrics for rule, metrics in mine.items() if rule not in apart}, values, one_by_one
        )
    for rule in apart:
        try:
            found = patience.allow(rule.text, lambda rule=rule: run(list(mine[rule])))  # type: ignore[misc]
        except Unmeasured as error:
            found = Values({}, dict.fromkeys(set(mine[rule]) - {SIZE}, str(error)))
        values = _joined(values, found)
    return values


def _each(
    run: Callable[[list[Metric]], Values],
    together: Sequence[Metric],
    mine: dict[Rule, tuple[Metric, ...]],
    failed: Values,
    one_by_one: bool,
) -> Values:
    """The metrics of each rule on its own, after all of them failed."""
    why = failed.failures.get(SIZE, "nothing was measured")
    if not one_by_one:
        raise RunError(f"the rules cannot be measured: {why}")
    values = run([SIZE])
    if SIZE not in values:
        raise SourceError(f"the source cannot be read: {values.failures.get(SIZE, why)}")
    of_rules = {metric for metrics in mine.values() for metric in metrics}
    rest = [metric for metric in together if metric not in of_rules]
    for metrics in (*mine.values(), tuple(rest)):
        if some := [metric for metric in metrics if metric not in values]:
            values = _joined(values, run(some))
    return values


def _joined(left: Values, right: Values) -> Values:
    return Values({**left, **right}, {**left.failures, **right.failures}, {**left.ranges, **right.ranges})
