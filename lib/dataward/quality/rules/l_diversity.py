"""``LDiversity "sex", "zip", "disease" >= 3``: different sensitive values in every crowd."""

from __future__ import annotations

from dataward.privacy.risk import diversity
from dataward.quality.rules.base import Scene
from dataward.quality.rules.disclosure import Disclosure

__all__ = ["LDiversity"]


class LDiversity(Disclosure):
    """The least number of different values of the last column among rows that agree in all others (distinct l-diversity).

    Dataward's own rule. NULL is a value like any other.

    Example::

        LDiversity "age", "id" >= 1            # 1, PASSED
    """

    name = "LDiversity"
    parameters = (2, None)
    others = 1

    def found(self, scene: Scene) -> float | None:
        return diversity(scene.frame, self.quasi_identifiers, self.statement.parameters[-1])
