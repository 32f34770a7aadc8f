"""Measure rules together, and one by one where that failed or a pattern may take exponential time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from dataward.errors import DataError, RunError, SourceError
from dataward.quality.backtracking import left_open, runs_away
from dataward.quality.metrics import Metric, Unmeasured, Values
from dataward.quality.rules import Rule
from dataward.spark.session import TimeIsUp, time_limit

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Patience", "measured", "risky"]

Given = TypeVar("Given")
SIZE = Metric("size")


def risky(rule: Rule) -> list[str]:
    """Return the patterns of a rule that can take exponential time on some values."""
    return [pattern for leaf in rule.leaves() for pattern in leaf.patterns if runs_away(pattern)]


def open_patterns(rule: Rule) -> list[tuple[str, str]]:
    """Return the patterns of a rule's conditions that no engine can read, each with the reason."""
    conditions = [leaf.statement.condition for leaf in rule.leaves()]
    patterns = [str(one) for each in conditions if each and each.operator == "matches" for one in each.operands]
    return [(pattern, why) for pattern in patterns if (why := left_open(pattern))]


@dataclass
class Patience:
    """Time limit of a rule. After a rule exceeded it, no further rule starts, because its tasks may still occupy executors."""

    spark: SparkSession
    seconds: int | None = None
    stopped: list[str] = field(default_factory=list)

    def allow(self, name: str, what: Callable[[], Given]) -> Given:
        """Call a function for a rule within the time limit.

        Raises:
            Unmeasured: it exceeded the limit, or an earlier rule did.
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
    """Measure metrics in one run; under a time limit, rules with patterns of exponential time are measured separately.

    Where the run fails as a whole and the rows can be counted, each rule is measured separately, to find the one that failed.

    Args:
        run: function that measures metrics.
        wanted: the metrics.
        rules: the rules that need them.
        now: time of the run.
        patience: time limit of a rule.
        one_by_one: whether ``run`` may be called several times.

    Raises:
        SourceError: the rows cannot be counted.
        RunError: the metrics cannot be measured together, and ``one_by_one`` is False.
        DataError: the common run exceeded the time limit.
    """
    by_rule = {rule: rule.metrics(now) for rule in rules}
    risky_rules = [rule for rule in by_rule if one_by_one and patience.seconds and risky(rule)]
    separate_metrics = {metric for rule in risky_rules for metric in by_rule[rule]} - {SIZE}
    separate_metrics -= {metric for rule in by_rule if rule not in risky_rules for metric in by_rule[rule]}
    together = [metric for metric in wanted if metric not in separate_metrics]
    named = [rule.text for rule, metrics in by_rule.items() if rule not in risky_rules and metrics]
    try:
        values = patience.allow("another rule", lambda: run(together))
    except Unmeasured as error:
        more = f" and {len(named) - 5} more" if len(named) > 5 else ""
        raise DataError(f"{', '.join(named[:5])}{more}: {error}. Set it higher, or mend the rule") from None
    if SIZE not in values:
        values = _each(
            run,
            together,
            {rule: metrics for rule, metrics in by_rule.items() if rule not in risky_rules},
            values,
            one_by_one,
        )
    for rule in risky_rules:
        try:
            separate = patience.allow(rule.text, lambda rule=rule: run(list(by_rule[rule])))  # type: ignore[misc]
        except Unmeasured as error:
            separate = Values({}, dict.fromkeys(set(by_rule[rule]) - {SIZE}, str(error)))
        values = _joined(values, separate)
    return values


def _each(
    run: Callable[[list[Metric]], Values],
    together: Sequence[Metric],
    by_rule: dict[Rule, tuple[Metric, ...]],
    failed: Values,
    one_by_one: bool,
) -> Values:
    """Measure the metrics of each rule separately, after the common run failed."""
    why = failed.failures.get(SIZE, "nothing was measured")
    if not one_by_one:
        raise RunError(f"the rules cannot be measured: {why}")
    values = run([SIZE])
    if SIZE not in values:
        raise SourceError(f"the source cannot be read: {values.failures.get(SIZE, why)}")
    of_rules = {metric for metrics in by_rule.values() for metric in metrics}
    rest = [metric for metric in together if metric not in of_rules]
    for metrics in (*by_rule.values(), tuple(rest)):
        if missing := [metric for metric in metrics if metric not in values]:
            values = _joined(values, run(missing))
    return values


def _joined(left: Values, right: Values) -> Values:
    return Values({**left, **right}, {**left.failures, **right.failures}, {**left.ranges, **right.ranges})
