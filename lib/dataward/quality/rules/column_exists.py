"""``ColumnExists "email"``: the column exists."""

from __future__ import annotations

from dataward.quality.rules.families import Finding, Probe, Scene

__all__ = ["ColumnExists"]


class ColumnExists(Probe):
    """1 when the source has the column, else 0. Names are compared without case, as Spark does. Reads no data.

    Example::

        ColumnExists "MAIL"                    # 1, PASSED
        ColumnExists "email"                   # 0, FAILED
    """

    name = "ColumnExists"
    condition = ""

    def probe(self, scene: Scene) -> Finding:
        """Measure the rule."""
        return Finding(float(self.statement.parameters[0].lower() in {name.lower() for name in scene.columns}))
