"""Explain the cost of a suite before it runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dataward.errors import counted
from dataward.quality.engines.groups import groupings
from dataward.quality.judge import Engine, needed_flags
from dataward.quality.metrics import is_grouped
from dataward.quality.rules import Probe, Rule, TableComposite
from dataward.quality.suite import Suite

__all__ = ["Explanation", "explain"]


@dataclass(frozen=True)
class Explanation:
    """Cost of a suite.

    Attributes:
        rules: number of rules.
        engine: the engine.
        scans: scans of the source.
        shuffles: shuffles by keys.
        joins: joins that flag duplicates and missing references for the scan.
        probes: queries, and reads of other tables and files, of single rules.
        steps: (rule, how it is measured).
    """

    rules: int
    engine: Engine
    scans: int
    shuffles: int
    joins: int
    probes: int
    steps: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        """Return the number of rules and passes as text."""
        counts = (("scan", self.scans), ("shuffle", self.shuffles), ("join", self.joins), ("probe", self.probes))
        passes = ", ".join(f"{count} {name}{'s' if count > 1 else ''}" for name, count in counts if count)
        return f"{counted(self.rules, 'rule')}: {passes or 'no data is read'}"


def explain(suite: Suite, engine: Engine, now: datetime) -> Explanation:
    """Explain how a suite would be measured; every run counts the rows, so there is always a scan."""
    rules = tuple(rule.typed({}) for rule in suite.rules)  # the cost does not depend on types
    metrics = [metric for rule in rules for metric in rule.metrics(now)]
    sets = len(groupings(metrics))
    steps = [(rule.text, _how(rule, now)) for rule in rules]
    return Explanation(
        len(rules),
        engine,
        1,
        min(sets, 1) if engine == "spark" else sets,
        len(needed_flags(rules, now)),
        sum(isinstance(leaf, Probe) and leaf.reads != "schema" for rule in rules for leaf in rule.leaves()),
        tuple(steps),
    )


def _how(rule: Rule, now: datetime) -> str:
    """Return how a rule is measured."""
    if isinstance(rule, TableComposite):
        return ", ".join(dict.fromkeys(_how(part, now) for part in rule.parts))
    if isinstance(rule, Probe):
        return rule.reads
    ways = ["shuffle" if any(is_grouped(metric) for metric in rule.metrics(now)) else "scan"]
    return " after ".join([*ways, *(["join"] if needed_flags([rule], now) else [])])
