"""``DeltaPresence "sex", "zip", "voters" <= 0.5``: the largest probability that a person of a population is in the table."""

from __future__ import annotations

from dataward.quality.risk import presence
from dataward.quality.rules.base import SHARE
from dataward.quality.rules.disclosure import AgainstReference
from dataward.quality.rules.families import Scene

__all__ = ["DeltaPresence"]


class DeltaPresence(AgainstReference):
    """Largest probability (0 to 1) that a row of a reference, known by its quasi-identifiers, is in the table.

    The last parameter is the reference; the probability is also 1 where the reference lacks a row's class.

    Dataward's own rule. NULL is a value like any other.

    Example::

        DeltaPresence "age", "reference" <= 1  # 1, PASSED
    """

    name = "DeltaPresence"
    span = SHARE

    def found(self, scene: Scene) -> float | None:
        """Measure the rule."""
        return presence(scene.frame, self.quasi_identifiers, scene.references[self.aliases[0]])
