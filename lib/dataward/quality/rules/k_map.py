"""``KMap "sex", "zip", "voters" >= 10``: the size of a row's class in a population."""

from __future__ import annotations

from dataward.quality.risk import k_map
from dataward.quality.rules.disclosure import AgainstReference
from dataward.quality.rules.families import Scene

__all__ = ["KMap"]


class KMap(AgainstReference):
    """Smallest number of rows of a reference (the last parameter) that have the same quasi-identifiers as a row of the table.

    Dataward's own rule. NULL is a value like any other.

    Example::

        KMap "n", "reference" >= 1             # 0, FAILED
    """

    name = "KMap"

    def found(self, scene: Scene) -> float | None:
        """Measure the rule."""
        return k_map(scene.frame, self.quasi_identifiers, scene.references[self.aliases[0]])
