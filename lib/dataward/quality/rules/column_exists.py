"""``ColumnExists "email"``: the column is there."""

from __future__ import annotations

from dataward.quality.conditions import Condition
from dataward.quality.rules.base import ALL, Finding, Probe, Scene

__all__ = ["ColumnExists"]


class ColumnExists(Probe):
    """1 when the source has the column, else 0. Names are compared without case, as Spark does. Reads no data.

    Example::

        ColumnExists "MAIL"                    # 1, PASSED
        ColumnExists "email"                   # 0, FAILED
    """

    name = "ColumnExists"
    condition = ""

    @property
    def columns(self) -> tuple[str, ...]:
        return ()  # its absence is a verdict, not a mistake in the contract

    def bound(self) -> Condition:
        return ALL

    def probe(self, scene: Scene) -> Finding:
        return Finding(float(self.statement.parameters[0].lower() in {name.lower() for name in scene.columns}))
