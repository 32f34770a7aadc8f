"""``LDiversity "sex", "zip", "disease" >= 3``: distinct sensitive values in every class."""

from __future__ import annotations

from dataward.quality.risk import diversity
from dataward.quality.rules.disclosure import Disclosure
from dataward.quality.rules.families import Scene

__all__ = ["LDiversity"]


class LDiversity(Disclosure):
    """Smallest number of distinct values of the last column in a class of equal other columns (distinct l-diversity).

    Dataward's own rule. NULL is a value like any other.

    Example::

        LDiversity "age", "id" >= 1            # 1, PASSED
    """

    name = "LDiversity"
    parameters = (2, None)
    others = 1

    def found(self, scene: Scene) -> float | None:
        """Measure the rule."""
        return diversity(scene.frame, self.quasi_identifiers, self.statement.parameters[-1])
