"""``AggregateMatch "sum(amount)" "sum(reference.amount)" = 1``: the ratio of two totals or means."""

from __future__ import annotations

import re

from dataward.quality.metrics import Metric, Unmeasured, aggregates
from dataward.quality.rules.families import Finding, Probe, Scene

__all__ = ["AggregateMatch"]

SYNTAX = re.compile(r"(sum|avg)\s*\(\s*(?:([A-Za-z_]\w*)\.)?([^()]+?)\s*\)", re.IGNORECASE)


class AggregateMatch(Probe):
    """The first aggregate divided by the second: ``sum`` or ``avg`` of a column, here or in a reference.

    The ratio is 1 if both are zero. If only the second is zero, or a column holds only nulls, nothing is measured and the rule fails.

    Example::

        AggregateMatch "sum(age)" "sum(reference.age)" = 1 # 1.494, FAILED
        AggregateMatch "avg(id)" "avg(score)" between 1.8 and 2 # 1.8667, PASSED
    """

    name = "AggregateMatch"
    reads = "reference"
    parameters = (2, 2)

    def check(self) -> None:
        """Validate the statement."""
        super().check()
        for parameter in self.statement.parameters:
            if not SYNTAX.fullmatch(parameter):
                self.refuse(f"'{parameter}' is no aggregate", 'write "sum(column)" or "avg(reference.column)"')

    def _parts(self) -> list[tuple[str, str, str]]:
        """Return (function, alias or "", column) of both aggregates."""
        matches = (SYNTAX.fullmatch(parameter) for parameter in self.statement.parameters)
        return [(match[1].lower(), match[2] or "", match[3]) for match in matches if match]

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the source that the rule reads."""
        return tuple(column for _, alias, column in self._parts() if not alias)

    @property
    def aliases(self) -> tuple[str, ...]:
        """References that the rule reads."""
        return tuple(alias for _, alias, _ in self._parts() if alias)

    def metrics(self, now: object) -> tuple[Metric, ...]:
        """Return the metrics that the rule needs."""
        return tuple(_metric(function, column) for function, alias, column in self._parts() if not alias)

    def probe(self, scene: Scene) -> Finding:
        """Measure the rule."""
        first, second = (self._value(scene, *part) for part in self._parts())
        if first is None or second is None or (second == 0 and first != 0):
            return Finding(None)
        return Finding(1.0 if first == second else first / second, f"{first:g} against {second:g}")

    @staticmethod
    def _value(scene: Scene, function: str, alias: str, column: str) -> float | None:
        if not alias:
            return scene.values[_metric(function, column)]
        reference = scene.references[alias]
        if column.lower() not in {name.lower() for name in reference.columns}:
            raise Unmeasured(f"reference '{alias}' has no column '{column}'")
        row = reference.selectExpr(*aggregates(_metric(function, column))).first()
        return row[0] if row else None


def _metric(function: str, column: str) -> Metric:
    return Metric("sum" if function == "sum" else "mean", (column,))
