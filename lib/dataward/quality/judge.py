"""Evaluate the rules of a suite on a frame: one verdict per rule.

Rules name metrics; equal metrics are measured once, by one engine call. The ``action`` of a verdict is its consequence:

=============  ===================================================================================
``none``       the rule passed
``quarantine`` a row rule failed for some rows: they are diverted and the run continues
``stop``       nothing is published: a table rule failed, a threshold was missed, or a rule raised an error
``warn``       as stop or quarantine, but the rule is labelled severity=warning: it is only reported
=============  ===================================================================================
"""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeGuard

from dataward.errors import RunError, counted
from dataward.quality.engines import deequ
from dataward.quality.engines import spark as dataframes
from dataward.quality.flags import Flag, with_flags
from dataward.quality.measuring import Patience, measured
from dataward.quality.metrics import Metric, Unmeasured, Values
from dataward.quality.past import Past
from dataward.quality.rules import Probe, RowRule, Rule, Scene, TableComposite, TableRule
from dataward.quality.rules.base import ALL
from dataward.quality.split import with_paths
from dataward.quality.statistics import Statistic, metrics_of, statistics
from dataward.quality.suite import Suite
from dataward.spark.sql import identifier
from dataward.spark.views import viewed

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Engine", "Judgement", "Measuring", "Options", "Verdict", "judge", "needed_flags", "verdict_of"]

SAMPLED = 64

Engine = Literal["deequ", "spark"]
Measuring = Callable[["DataFrame", list[Metric]], Values]
Outcome = Literal["PASSED", "FAILED", "SKIPPED", "ERRORED"]
Action = Literal["none", "quarantine", "stop", "warn"]


@dataclass(frozen=True)
class Verdict:
    """Outcome of a rule; ``measured`` is a share for row rules, else in the rule's unit; None: nothing was measured."""

    rule: str
    kind: str
    outcome: Outcome
    measured: float | None
    expected: str
    action: Action
    failed_rows: int | None = None
    message: str = ""


@dataclass(frozen=True)
class Judgement:
    """Results of a suite.

    Attributes:
        verdicts: one verdict per rule.
        rows: number of rows.
        diverting: row rules that some row fails.
        statistics: numbers of the analyzers.
        distinct: approximate number of distinct values by column.
        counted: values of the additional metrics.
    """

    verdicts: tuple[Verdict, ...]
    rows: int
    diverting: tuple[RowRule, ...]
    statistics: tuple[Statistic, ...] = ()
    distinct: Mapping[str, int] = field(default_factory=dict)
    counted: Values = field(default_factory=lambda: Values({}))

    def columns_of_few_values(self) -> list[str]:
        """Return columns with few distinct values, in proportion to the rows and for a broadcast (about 20 MB)."""
        return [name for name, count in self.distinct.items() if count < min(self.rows / 5, 200_000)]

    def __str__(self) -> str:
        """Return the numbers of outcomes as text."""
        counts: dict[str, int] = {}
        for verdict in self.verdicts:
            counts[verdict.outcome.lower()] = counts.get(verdict.outcome.lower(), 0) + 1
        outcomes = ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"
        return f"{counted(len(self.verdicts), 'rule')}: {outcomes}"

    @property
    def reproducible(self) -> list[list[Any]]:
        """Results that a rerun must reproduce, without measured values: sums of doubles depend on the order of addition."""
        return [[verdict.rule, verdict.outcome, verdict.action, verdict.failed_rows] for verdict in self.verdicts]

    @property
    def stops(self) -> bool:
        """Whether a verdict stops the run."""
        return any(verdict.action == "stop" for verdict in self.verdicts)


@dataclass(frozen=True)
class Options:
    """How a suite is judged.

    Attributes:
        engine: what measures.
        references: reference tables by alias.
        checks: ``FILE.py:FUNCTION`` or ``MODULE:FUNCTION`` that returns PyDeequ checks.
        sensitive: columns whose statistics must not show single values.
        internal: helper columns, which are not the source's own.
        estimate: columns whose distinct values engine ``spark`` estimates in the same shuffle.
        count: additional metrics.
        also: metrics that are left out where they cannot be measured.
        past: numbers of earlier runs.
        measure: function to use instead of the engine.
        seconds: time limit of one rule; None: no limit.
    """

    engine: Engine = "deequ"
    references: Mapping[str, DataFrame] = field(default_factory=dict)
    checks: str | None = None
    sensitive: tuple[str, ...] = ()
    internal: tuple[str, ...] = ()
    estimate: tuple[str, ...] = ()
    count: tuple[Metric, ...] = ()
    also: tuple[Metric, ...] = ()
    past: Past = field(default_factory=Past)
    measure: Measuring | None = None
    seconds: int | None = None


def judge(
    spark: SparkSession, frame: DataFrame, suite: Suite, now: datetime, options: Options | None = None
) -> Judgement:
    """Measure and evaluate every rule on a frame.

    Args:
        spark: the session.
        frame: the frame.
        suite: the rules and analyzers.
        now: time of the run.
        options: how it is judged.
    """
    options = options or Options()
    types = {name: kind for name, kind in frame.dtypes if name not in options.internal}
    named = [column for rule in suite.rules for column in rule.columns]
    named += [column for analyzer in suite.analyzers for column in analyzer.parameters]
    plain = with_paths(frame, named)
    of_columns = dict(plain.dtypes)
    suite = replace(suite, rules=tuple(rule.recalled(options.past, now).typed(of_columns) for rule in suite.rules))
    estimates = {name: _one_in(SAMPLED, name) for name in options.estimate} if options.engine == "spark" else {}
    wanted = [Metric("size"), *(metric for rule in suite.rules for metric in rule.metrics(now))]
    wanted += [metric for analyzer in suite.analyzers for metric in metrics_of(analyzer, types, options.sensitive)]
    wanted += [*estimates.values(), *options.count, *options.also]
    patience = Patience(spark, options.seconds)
    values = _values(plain, suite, wanted, now, options, patience)
    scene = Scene(spark, frame, types, options.references, values, now, patience.allow)
    with viewed(spark, {"primary": frame, **options.references}):
        judged = [(_judge(rule, scene), rule) for rule in suite.rules]
    verdicts = [verdict for verdict, _ in judged]
    if checks := options.checks:
        outcomes = deequ.run_checks(spark, frame, lambda: _load_checks(spark, checks))
        verdicts += [_of_check(*outcome) for outcome in outcomes]
    return Judgement(
        tuple(verdicts),
        rows=int(values[Metric("size")] or 0),
        diverting=tuple(rule for verdict, rule in judged if verdict.failed_rows and _diverts(rule)),
        statistics=statistics(suite.analyzers, values, types, options.sensitive),
        distinct={name: SAMPLED * int(values.get(metric) or 0) for name, metric in estimates.items()},
        counted=Values(
            {metric: values[metric] for metric in (*options.count, *(one for one in options.also if one in values))}
        ),
    )


def _values(
    plain: DataFrame, suite: Suite, wanted: list[Metric], now: datetime, options: Options, patience: Patience
) -> Values:
    """Measure metrics once; again, exactly, where a collision of hashes could change a verdict."""
    spark = plain.sparkSession
    ready = with_flags(plain, needed_flags(suite.rules, now), options.references)
    keyed = None if ready is plain else plain
    engines: dict[Engine, Measuring] = {
        "deequ": lambda ready, metrics: deequ.measure(spark, ready, metrics, keyed),
        "spark": lambda ready, metrics: dataframes.measure(ready, metrics, keyed),
    }
    run = options.measure or engines[options.engine]
    together = options.measure is not None
    values = measured(lambda some: run(ready, some), wanted, suite.rules, now, patience, one_by_one=not together)
    uncertain = [metric for rule in suite.rules for metric in _uncertain(rule, values, now)]
    return values.corrected(dataframes.exactly(plain, uncertain)) if uncertain else values


def _one_in(share: int, column: str) -> Metric:
    """Return a metric of the distinct values in a sample of 1 in ``share`` values by hash, which adds little to the shuffle."""
    return Metric("distinct_count", (column,), f"xxhash64({identifier(column)}) % {share} = 0")


def needed_flags(rules: Sequence[Rule], now: datetime) -> list[Flag]:
    """Return the flags that metrics read; a uniqueness rule needs its flag only within a composite by row."""
    flags = dict.fromkeys(flag for rule in rules for flag in rule.flags())
    read = " ".join(str(metric.predicate) + str(metric.where) for rule in rules for metric in rule.metrics(now))
    return [flag for flag in flags if flag.name in read]


def _diverts(rule: Rule) -> TypeGuard[RowRule]:
    """Return whether rows that fail the rule are diverted."""
    return isinstance(rule, RowRule) and not rule.warns_only


def _uncertain(rule: Rule, values: Values, now: datetime) -> list[Metric]:
    """Return the rule's metrics that were counted by hashes, if a collision could change the verdict."""
    if isinstance(rule, TableComposite):
        return [metric for part in rule.parts for metric in _uncertain(part, values, now)]
    mine = [metric for metric in rule.metrics(now) if metric in values.ranges]
    if not mine or not isinstance(rule, RowRule | TableRule):
        return []
    ends = [rule.measure(values.at(end), now) for end in (0, 1)]
    low, high = min(end or 0.0 for end in ends), max(end or 0.0 for end in ends)
    return mine if any(low <= number <= high for number in rule.bound().numbers) else []


def verdict_of(rule: Rule, values: Values, now: datetime) -> Verdict:
    """Evaluate a rule on numbers that are measured already; no rule that looks at rows itself."""
    nothing: Any = None
    return _judge(rule, Scene(nothing, nothing, {}, {}, values, now))


def _judge(rule: Rule, scene: Scene) -> Verdict:
    """Evaluate one rule."""
    measured: float | Decimal | None = None
    failed: int | None = None
    message = ""
    outcome: Outcome
    values, now = scene.values, scene.now
    try:
        if isinstance(rule, TableComposite):
            parts = [_judge(part, scene) for part in rule.parts]
            message = "; ".join(f"{part.rule}: {part.outcome}" for part in parts)
            if any(part.outcome == "ERRORED" for part in parts):
                raise Unmeasured(message)
            outcome = _OUTCOMES[rule.combine([_TRUTHS[part.outcome] for part in parts])]
        elif isinstance(rule, RowRule):
            measured, failed = rule.measure(values, now), rule.failed(values, now)
            if measured is None:
                outcome, message = "SKIPPED", "no row to judge"
            else:
                outcome, message = _met(rule, measured), rule.awaits
        else:
            if isinstance(rule, Probe):
                found = scene.allow(rule.text, lambda: rule.probe(scene))
                measured, message = found.measured, found.detail
            elif isinstance(rule, TableRule):
                measured = rule.measure(values, now)
                message = rule.detail(values, now)
            if measured is not None and not math.isfinite(measured):
                not_finite, measured = measured, None
                raise Unmeasured(f"the measured value is {not_finite}: the column holds NaN or infinity")
            outcome = _met(rule, measured)
            message = rule.awaits or ("nothing to measure" if measured is None else message)
    except Unmeasured as error:
        outcome, message = "ERRORED", str(error)
    number = None if measured is None else float(measured)
    return Verdict(
        rule.text, rule.name, outcome, number, _expected(rule), _action(rule, outcome, failed), failed, message
    )


def _met(rule: Rule, measured: float | Decimal | None) -> Outcome:
    """Return the outcome of a measured number."""
    if rule.awaits:
        return "SKIPPED"
    return "PASSED" if measured is not None and rule.bound().holds(measured) else "FAILED"


_TRUTHS: dict[Outcome, bool | None] = {"PASSED": True, "FAILED": False, "SKIPPED": None}
_OUTCOMES: dict[bool | None, Outcome] = {truth: outcome for outcome, truth in _TRUTHS.items()}


def _action(rule: Rule, outcome: Outcome, failed: int | None) -> Action:
    """Return the consequence of an outcome."""
    if outcome in ("PASSED", "SKIPPED") and not failed:
        return "none"
    if rule.warns_only:
        return "warn"
    if isinstance(rule, RowRule) and (
        outcome in ("PASSED", "SKIPPED") or (outcome == "FAILED" and rule.statement.threshold is None)
    ):
        return "quarantine"
    return "stop"


def _expected(rule: Rule) -> str:
    """Return the condition of a rule as text."""
    if isinstance(rule, TableComposite):
        return "as composed"
    if rule.awaits and not (rule.statement.condition or rule.statement.threshold):
        return "not known yet"
    bound = rule.bound()
    if bound != ALL or rule.statement.condition == ALL:
        return str(bound)
    return "every row" if isinstance(rule, RowRule) else "all"


def _of_check(check: str, level: str, constraint: str, held: bool, measured: float | None) -> Verdict:
    """Return the verdict of a constraint of a PyDeequ check."""
    action: Action = "none" if held else "warn" if level == "Warning" else "stop"
    text = f"{check}: {constraint}"
    measured = measured if measured is not None and math.isfinite(measured) else None  # NaN is no JSON
    return Verdict(text, "Check", "PASSED" if held else "FAILED", measured, "the check holds", action)


def _load_checks(spark: SparkSession, reference: str) -> Sequence[Any]:
    """Call ``FILE.py:FUNCTION`` or ``MODULE:FUNCTION`` with the session; returns its checks."""
    place, _, name = reference.rpartition(":")
    try:
        if place.endswith(".py"):
            spec = importlib.util.spec_from_file_location("dataward_user_checks", Path(place))
            if spec is None or spec.loader is None or not Path(place).is_file():
                raise RunError(f"checks {reference}: there is no file {place}")
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(place)
        loaded = getattr(module, name)(spark)
    except RunError:
        raise
    except (ImportError, AttributeError) as error:
        raise RunError(f"checks {reference}: {error}. Name FILE.py:FUNCTION or MODULE:FUNCTION") from None
    return list(loaded) if isinstance(loaded, list | tuple) else [loaded]
