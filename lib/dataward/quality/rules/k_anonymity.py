"""``KAnonymity "sex", "age", "zip" >= 5``: the size of the smallest class."""

from __future__ import annotations

from dataward.quality.risk import smallest
from dataward.quality.rules.disclosure import Disclosure
from dataward.quality.rules.families import Scene

__all__ = ["KAnonymity"]


class KAnonymity(Disclosure):
    """Size of the smallest class (k): rows with equal quasi-identifiers. An empty table has none.

    Dataward's own rule. NULL is a value like any other.

    Example::

        KAnonymity "age" >= 2                  # 1, FAILED
    """

    name = "KAnonymity"

    def found(self, scene: Scene) -> float | None:
        """Measure the rule."""
        return smallest(scene.frame, self.quasi_identifiers)
