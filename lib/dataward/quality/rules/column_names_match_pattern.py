"""``ColumnNamesMatchPattern "crm_.*"``: every column is named by the pattern."""

from __future__ import annotations

from dataward.quality.rules.families import Finding, Probe, Scene
from dataward.spark.sql import literal

__all__ = ["ColumnNamesMatchPattern"]


class ColumnNamesMatchPattern(Probe):
    """Share of column names in which the pattern (Java's) is found: anchor it with ``^`` and ``$``; all must. Reads no data.

    Example::

        ColumnNamesMatchPattern "^[a-z]+$"     # 1, PASSED
        ColumnNamesMatchPattern "^[a-m]"       # 0.5714, FAILED
    """

    name = "ColumnNamesMatchPattern"
    condition = ""

    def probe(self, scene: Scene) -> Finding:
        """Measure the rule."""
        pattern = literal(self.statement.parameters[0])
        tests = ", ".join(f"{literal(name)} rlike {pattern}" for name in scene.columns)
        (hits,) = scene.spark.sql(f"select array({tests})").first() or ([],)
        misses = [name for name, hit in zip(scene.columns, hits, strict=True) if not hit]
        return Finding(1 - len(misses) / len(scene.columns), f"not so named: {', '.join(misses)}" if misses else "")
