"""``ColumnCount = 12``: the number of columns."""

from __future__ import annotations

from dataward.quality.rules.families import Finding, Probe, Scene

__all__ = ["ColumnCount"]


class ColumnCount(Probe):
    """Number of top-level columns of the source. Reads no data.

    Example::

        ColumnCount = 7                        # 7, PASSED
    """

    name = "ColumnCount"
    parameters = (0, 0)

    def probe(self, scene: Scene) -> Finding:
        """Measure the rule."""
        return Finding(float(len(scene.columns)))
