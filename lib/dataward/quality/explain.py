"""What judging a suite will cost, told before anything runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dataward.errors import counted
from dataward.quality.engines.groups import groupings
from dataward.quality.judge import Engine, needed_flags
from dataward.quality.metrics import GROUPED
from dataward.quality.rules import Probe, Rule, TableComposite
from dataward.quality.suite import Suite

__all__ = ["Explanation", "explain"]


@dataclass(frozen=True)
class Explanation:
    """Passes over the source, and where each rule gets its number from.

    ``scans`` is 1 or 0; ``shuffles`` bring equal keys together; ``joins`` flag duplicates and orphans for the scan;
    ``probes`` are queries, reads of other tables and of files that a rule starts by itself.
    """

    rules: int
    engine: Engine
    scans: int
    shuffles: int
    joins: int
    probes: int
    steps: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        counts = (("scan", self.scans), ("shuffle", self.shuffles), ("join", self.joins), ("probe", self.probes))
        told = ", ".join(f"{count} {name}{'s' if count > 1 else ''}" for name, count in counts if count)
        return f"{counted(self.rules, 'rule')}: {told or 'no data is read'}"


def explain(suite: Suite, engine: Engine, now: datetime) -> Explanation:
    """How a suite will be judged. The rows are counted in every run, so there is always a scan."""
    rules = tuple(rule.typed({}) for rule in suite.rules)  # what is read does not depend on types
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
    if isinstance(rule, TableComposite):
        return ", ".join(dict.fromkeys(_how(part, now) for part in rule.parts))
    if isinstance(rule, Probe):
        return rule.reads
    ways = ["shuffle" if any(metric.kind in GROUPED for metric in rule.metrics(now)) else "scan"]
    return " after ".join([*ways, *(["join"] if needed_flags([rule], now) else [])])
