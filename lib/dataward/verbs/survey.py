"""Judge the rules of a survey over several sites' tables: each site contributes masked sums, and no row leaves it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dataward.errors import ContractError, Problem, TargetError, UsageError
from dataward.federated import certificates
from dataward.federated.coordinator import Coordinator, Store, Transport
from dataward.federated.encode import Numbers
from dataward.federated.survey import SurveyPlan, Tally, read_survey
from dataward.federated.transport import Https
from dataward.pipeline.guard import guarded
from dataward.quality.judge import Verdict, needed_flags, verdict_of
from dataward.quality.metrics import Metric, State, Values, aggregates, state, value
from dataward.quality.rules import Probe, Rule
from dataward.quality.suite import suite
from dataward.tables.replacing import replace_file

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["Surveyed", "numbers_of", "survey", "tally_of"]

WHOLE, SUM, SQUARE = 1.0, 2.0**20, 2.0**8
LAYOUTS: dict[str, tuple[float, ...]] = {
    "size": (WHOLE,),
    "completeness": (WHOLE, WHOLE),
    "compliance": (WHOLE, WHOLE),
    "sum": (SUM,),
    "mean": (WHOLE, SUM),
    "standard_deviation": (WHOLE, SUM, SQUARE),
    "correlation": (WHOLE, SUM, SUM, SQUARE, SQUARE, SQUARE),
}
"""Metrics that are functions of sums, and the fixed-point scale of each sum."""
ANY_TIME = datetime(2000, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Surveyed:
    """Verdicts over all participating sites."""

    survey: str
    sites: tuple[str, ...]
    rows: int
    verdicts: tuple[Verdict, ...]
    incidents: tuple[dict[str, Any], ...]

    @property
    def holds(self) -> bool:
        """Whether no rule failed, except for warnings."""
        return not any(one.outcome in ("FAILED", "ERRORED") and one.action != "warn" for one in self.verdicts)


@guarded("survey", of="path")
def survey(
    path: str | Path,
    key: str | Path,
    say: Callable[[str], None] = lambda line: None,
    transport: Transport | None = None,
) -> Surveyed:
    """Judge a survey's rules over its sites, and write ``survey.json`` into its output.

    Args:
        path: the survey's file.
        key: the coordinator's private key (PEM).
        say: called with a line for each incident.
        transport: transport of messages; default: HTTP with mutual TLS.

    Raises:
        ContractError: the survey is invalid, or a rule is not a function of sums.
        RunError: fewer sites than the minimum take part.
        TargetError: the result cannot be written.
    """
    asked, private = read_survey(path), certificates.private_key(Path(key))
    keys = asked.public_keys()
    tally, rules, metrics = tally_of(asked, str(path))
    carry = transport or Https({site.name: site.url for site in asked.sites}, keys, private, asked.timeout)
    store = Store(Path(asked.output) / "progress.json")
    coordinator = Coordinator(asked, keys, carry, store, say, tally)
    progress = coordinator.run()
    sums = np.array((progress.state.evaluation or {})["sums"], dtype=np.float64)
    values, start = {}, 0
    for metric in metrics:
        width = len(LAYOUTS[metric.kind])
        values[metric] = value(metric, _state(metric, sums[start : start + width]))
        start += width
    verdicts = tuple(verdict_of(rule, Values(values), ANY_TIME) for rule in rules)
    sites = tuple(name for name in progress.tables if name not in progress.excluded)
    incidents = tuple(dataclasses.asdict(one) for one in progress.incidents)
    done = Surveyed(asked.survey, sites, int(values[Metric("size")] or 0), verdicts, incidents)
    text = json.dumps(dataclasses.asdict(done), indent=1) + "\n"
    written = Path(asked.output) / "survey.json"
    try:
        replace_file(written, text.encode())
    except OSError as error:
        raise TargetError(f"{written} cannot be written ({error.strerror})") from None
    return done


def tally_of(asked: SurveyPlan, file: str) -> tuple[Tally, tuple[Rule, ...], list[Metric]]:
    """Return the sum of a survey, its rules, and the metrics in the order of the sum.

    Raises:
        ContractError: a rule is malformed, or is not a function of sums over rows.
    """
    parsed, mistakes = suite(asked.rules, "row")
    problems = [Problem(file, mistake.line, "rules", mistake.what, mistake.remedy) for mistake in mistakes]
    metrics = [Metric("size")]
    rules = []
    for rule in parsed.rules:
        if unknown := [name for name in rule.columns if name not in asked.columns]:
            what, remedy = (
                f"{rule.text}: the survey gives no type of '{unknown[0]}'",
                f"add columns: {{{unknown[0]}: double}}",
            )
            problems.append(Problem(file, rule.statement.line, "rules", what, remedy))
            continue
        rule = rule.typed(asked.columns)
        rules.append(rule)
        mine = [] if isinstance(rule, Probe) else list(rule.metrics(ANY_TIME))
        odd = [metric.kind for metric in mine if metric.kind not in LAYOUTS]
        if isinstance(rule, Probe) or odd or rule.asks_past or needed_flags([rule], ANY_TIME):
            what = f"{rule.text}: {odd[0] if odd else 'it'} is no function of sums over sites"
            remedy = "use rules about single rows, and RowCount, Completeness, Mean, Sum, StandardDeviation, ColumnCorrelation"
            problems.append(Problem(file, rule.statement.line, "rules", what, remedy))
        metrics += mine
    if problems:
        raise ContractError(problems)
    metrics = list(dict.fromkeys(metrics))
    scales = [scale for metric in metrics for scale in LAYOUTS[metric.kind]]
    return Tally(asked, scales), tuple(rules), metrics


def numbers_of(frame: DataFrame, asked: SurveyPlan, metrics: list[Metric]) -> Numbers:
    """Measure a site's contribution, in one pass over its table.

    Raises:
        UsageError: a column is missing, or has another type than in the survey.
    """
    types = dict(frame.dtypes)
    if odd := [
        f"'{name}' is {types.get(name, 'not there')}" for name, kind in asked.columns.items() if types.get(name) != kind
    ]:
        raise UsageError(f"survey '{asked.survey}' gives other types than the table has: {', '.join(odd)}")
    texts = list(dict.fromkeys(sql for metric in metrics for sql in aggregates(metric, parts=True)))
    row = frame.selectExpr(*(f"{sql} as a{number}" for number, sql in enumerate(texts))).collect()[0]
    found = {sql: None if row[number] is None else float(row[number]) for number, sql in enumerate(texts)}
    return np.array(
        [part for metric in metrics for part in _sums(metric, state(metric, found, parts=True))], dtype=np.float64
    )


def _sums(metric: Metric, given: State) -> tuple[float, ...]:
    """Turn a state (counts, means, variances) into sums."""
    count, *rest = (part or 0.0 for part in given)
    if metric.kind == "standard_deviation":
        mean, variance = rest
        return count, count * mean, count * (variance + mean * mean)
    if metric.kind == "correlation":
        x, y, xx, yy, xy = rest
        return count, count * x, count * y, count * (xx + x * x), count * (yy + y * y), count * (xy + x * y)
    return (count, *rest)


def _state(metric: Metric, sums: Numbers) -> State:
    """Turn sums over all sites into a state; the reverse of :func:`_sums`."""
    count, *rest = map(float, sums)
    if metric.kind in ("standard_deviation", "correlation") and count < 1:
        return (0.0, *(None for _ in rest))
    if metric.kind == "standard_deviation":
        mean = rest[0] / count
        return count, mean, max(0.0, rest[1] / count - mean * mean)
    if metric.kind == "correlation":
        x, y, xx, yy, xy = (part / count for part in rest)
        return count, x, y, max(0.0, xx - x * x), max(0.0, yy - y * y), xy - x * y
    return (count, *rest)
