"""``TCloseness "sex", "zip", "salary" <= 0.2``: no crowd's sensitive values are unlike the table's."""

from __future__ import annotations

from dataward.privacy.risk import closeness
from dataward.quality.rules.base import SHARE, Scene
from dataward.quality.rules.disclosure import Disclosure

__all__ = ["TCloseness"]


class TCloseness(Disclosure):
    """The largest distance (0 to 1) between the last column's values among rows that agree in all others and in the table:
    the earth mover's distance, of numbers by their order, of all else with equal distances.

    Dataward's own rule. NULL is a value like any other.

    Example::

        TCloseness "age", "id" <= 0.5          # 0.6, FAILED
    """

    name = "TCloseness"
    span = SHARE
    parameters = (2, None)
    others = 1

    def found(self, scene: Scene) -> float | None:
        return closeness(scene.frame, self.quasi_identifiers, self.statement.parameters[-1])
