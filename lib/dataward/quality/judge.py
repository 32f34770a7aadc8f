"""One verdict per rule, measured on the pinned source in one suite.

Rules name metrics; equal metrics are measured once, by one engine call. What a verdict leads to is its ``action``:

=============  ===================================================================================
``none``       the rule passed
``quarantine`` a row rule failed for some rows: they are diverted and the run goes on
``stop``       nothing is published: a table rule failed, a threshold was missed, a rule could not be judged
``warn``       as stop or quarantine, but the rule is labelled severity=warning: it is only reported
=============  ===================================================================================
"""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dataward.errors import RunError, SourceError
from dataward.quality.engines import deequ
from dataward.quality.metrics import Metric, Unmeasured, Values
from dataward.quality.rules import ColumnExists, CustomSql, RowRule, Rule, TableComposite, TableRule
from dataward.quality.split import with_flags
from dataward.tables.reason import reason

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Judgement", "Verdict", "judge"]

Outcome = Literal["PASSED", "FAILED", "SKIPPED", "ERRORED"]
Action = Literal["none", "quarantine", "stop", "warn"]


@dataclass(frozen=True)
class Verdict:
    """What a rule came to. ``measured`` is a share for row rules, else in the rule's own unit; None if there is none."""

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
    """All verdicts, the number of rows judged, and the row rules that some row fails (these divert)."""

    verdicts: tuple[Verdict, ...]
    rows: int
    diverting: tuple[RowRule, ...]

    @property
    def stops(self) -> bool:
        return any(verdict.action == "stop" for verdict in self.verdicts)


def judge(
    spark: SparkSession, frame: DataFrame, rules: Sequence[Rule], now: datetime, checks: str | None = None
) -> Judgement:
    """Measure and judge every rule on a frame; ``checks`` names a function that returns PyDeequ checks."""
    flagged = [rule for rule in rules if isinstance(rule, RowRule) and needs_flags(rule)]
    measured = deequ.measure(spark, with_flags(frame, flagged), [Metric("size"), *_metrics(rules, now)])
    try:
        rows = int(measured[Metric("size")] or 0)
    except Unmeasured as error:
        raise SourceError(f"the source cannot be read: {error}") from None
    frame.createOrReplaceTempView("primary")
    judged = [_judge(spark, frame, rule, measured, now) for rule in rules]
    verdicts = [verdict for verdict, _ in judged]
    if checks:
        verdicts += [
            _of_check(*outcome) for outcome in deequ.run_checks(spark, frame, lambda: _load_checks(spark, checks))
        ]
    diverting = tuple(
        rule for verdict, rule in judged if verdict.failed_rows and isinstance(rule, RowRule) and not rule.warns_only
    )
    return Judgement(tuple(verdicts), rows, diverting)


def needs_flags(rule: RowRule) -> bool:
    """Whether the rule's own metric reads the flag columns: uniqueness inside a composite does, alone it does not."""
    return bool(rule.unique_keys()) and rule.name == "Composite"


def _metrics(rules: Sequence[Rule], now: datetime) -> list[Metric]:
    found: list[Metric] = []
    for rule in rules:
        if isinstance(rule, TableComposite):
            found += _metrics(rule.parts, now)
        elif isinstance(rule, RowRule):
            found += rule.metrics(now)
        elif isinstance(rule, TableRule):
            found += rule.metrics()
    return found


def _judge(spark: SparkSession, frame: DataFrame, rule: Rule, values: Values, now: datetime) -> tuple[Verdict, Rule]:
    measured: float | None = None
    failed: int | None = None
    message = ""
    outcome: Outcome
    try:
        if isinstance(rule, RowRule):
            rows, failed = int(values[rule.metrics(now)[0]] or 0), rule.failed(values, now)
            if rows == 0:
                outcome, message = "SKIPPED", "no row to judge"
            else:
                measured = 1 - failed / rows
                outcome = "PASSED" if rule.passes(measured) else "FAILED"
        elif isinstance(rule, TableComposite):
            parts = [_judge(spark, frame, part, values, now)[0] for part in rule.parts]
            outcome = "PASSED" if rule.combine([part.outcome in ("PASSED", "SKIPPED") for part in parts]) else "FAILED"
            message = "; ".join(f"{part.rule}: {part.outcome}" for part in parts)
        else:
            assert isinstance(rule, TableRule)  # noqa: S101 - the three families are all there are
            measured = _measure(spark, frame, rule, values)
            if measured is not None and not math.isfinite(measured):
                told, measured = measured, None
                raise Unmeasured(f"the measured value is {told}: the column holds NaN or infinity")
            outcome = "FAILED" if measured is None or not rule.passes(measured) else "PASSED"
            message = "nothing to measure" if measured is None else ""
    except Unmeasured as error:
        outcome, message = "ERRORED", str(error)
    return Verdict(
        rule.text, rule.name, outcome, measured, _expected(rule), _action(rule, outcome, failed), failed, message
    ), rule


def _action(rule: Rule, outcome: Outcome, failed: int | None) -> Action:
    if outcome in ("PASSED", "SKIPPED") and not failed:
        return "none"
    if rule.warns_only:
        return "warn"
    if isinstance(rule, RowRule) and (outcome == "PASSED" or rule.statement.threshold is None):
        return "quarantine"
    return "stop"


def _measure(spark: SparkSession, frame: DataFrame, rule: TableRule, values: Values) -> float | None:
    if isinstance(rule, ColumnExists):
        return rule.found_in(frame.columns)
    if isinstance(rule, CustomSql):
        return _number_from(spark, rule)
    return rule.measure(values)


def _number_from(spark: SparkSession, rule: CustomSql) -> float | None:
    try:
        # As a subquery: a statement that is not a query does not parse here.
        rows = spark.sql(f"select * from (\n{rule.query}\n) limit 2").collect()  # noqa: S608 - the contract's own SQL
    except Exception as error:
        raise Unmeasured(f"the query failed: {reason(error)}") from None
    if len(rows) != 1 or len(rows[0]) != 1:
        raise Unmeasured("the query must give one row with one number")
    if rows[0][0] is None:
        return None
    try:
        return float(rows[0][0])
    except (TypeError, ValueError):
        raise Unmeasured("the query must give a number") from None


def _expected(rule: Rule) -> str:
    said = rule.statement
    if isinstance(rule, RowRule):
        return str(said.threshold) if said.threshold else "every row"
    if isinstance(rule, ColumnExists):
        return "the column is there"
    return str(said.condition) if said.condition else "as composed"


def _of_check(check: str, level: str, constraint: str, held: bool, measured: float | None) -> Verdict:
    action: Action = "none" if held else "warn" if level == "Warning" else "stop"
    text = f"{check}: {constraint}"
    return Verdict(text, "Check", "PASSED" if held else "FAILED", measured, "the check holds", action)


def _load_checks(spark: SparkSession, reference: str) -> Sequence[Any]:
    """Call ``FILE.py:FUNCTION`` or ``MODULE:FUNCTION`` with the session."""
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
        made = getattr(module, name)(spark)
    except RunError:
        raise
    except (ImportError, AttributeError) as error:
        raise RunError(f"checks {reference}: {error}. Name FILE.py:FUNCTION or MODULE:FUNCTION") from None
    return list(made) if isinstance(made, list | tuple) else [made]
