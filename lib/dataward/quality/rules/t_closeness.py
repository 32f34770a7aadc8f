"""``TCloseness "sex", "zip", "salary" <= 0.2``: the distribution of sensitive values in every class is close to the table's."""

from __future__ import annotations

from dataward.quality.risk import closeness
from dataward.quality.rules.base import SHARE
from dataward.quality.rules.disclosure import Disclosure
from dataward.quality.rules.families import Scene

__all__ = ["TCloseness"]


class TCloseness(Disclosure):
    """Largest earth mover's distance (0 to 1) between the last column's distributions in a class and in the table.

    A class is the rows with equal other columns. Numbers have ordered distances, other values equal distances.

    Dataward's own rule. NULL is a value like any other.

    Example::

        TCloseness "age", "id" <= 0.5          # 0.6, FAILED
    """

    name = "TCloseness"
    span = SHARE
    parameters = (2, None)
    others = 1

    def found(self, scene: Scene) -> float | None:
        """Measure the rule."""
        return closeness(scene.frame, self.quasi_identifiers, self.statement.parameters[-1])
