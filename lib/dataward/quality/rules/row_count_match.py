"""``RowCountMatch "reference" >= 0.9``: as many rows as another table."""

from __future__ import annotations

from dataward.quality.metrics import Metric
from dataward.quality.rules.families import Finding, Probe, Scene

__all__ = ["RowCountMatch"]


class RowCountMatch(Probe):
    """Rows of the source divided by rows of a reference; 1 when both are empty, nothing when only the reference is.

    Example::

        RowCountMatch "reference" >= 0.9       # 1.25, PASSED
    """

    name = "RowCountMatch"
    reads = "reference"

    @property
    def aliases(self) -> tuple[str, ...]:
        """References that the rule reads."""
        return (self.statement.parameters[0],)

    def metrics(self, now: object) -> tuple[Metric, ...]:
        """Return the metrics that the rule needs."""
        return (Metric("size"),)

    def probe(self, scene: Scene) -> Finding:
        """Measure the rule."""
        rows, reference_rows = scene.values[Metric("size")] or 0, scene.references[self.aliases[0]].count()
        text = f"{rows:.0f} rows against {reference_rows}"
        if not reference_rows:
            return Finding(None if rows else 1.0, text)
        return Finding(rows / reference_rows, text)
