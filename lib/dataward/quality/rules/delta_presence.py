"""``DeltaPresence "sex", "zip", "voters" <= 0.5``: how sure one can be that somebody is in the table."""

from __future__ import annotations

from dataward.privacy.risk import presence
from dataward.quality.rules.base import SHARE, Scene
from dataward.quality.rules.disclosure import Disclosure

__all__ = ["DeltaPresence"]


class DeltaPresence(Disclosure):
    """The largest chance (0 to 1) that a row of a reference (the last parameter), known by its quasi-identifiers, stands in the
    table; 1 also where the reference lacks a row's class.

    Dataward's own rule. NULL is a value like any other.

    Example::

        DeltaPresence "age", "reference" <= 1  # 1, PASSED
    """

    name = "DeltaPresence"
    span = SHARE
    parameters = (2, None)
    others = 1

    @property
    def columns(self) -> tuple[str, ...]:
        return self.quasi_identifiers

    @property
    def aliases(self) -> tuple[str, ...]:
        return (self.statement.parameters[-1],)

    def reference_columns(self) -> dict[str, tuple[str, ...]]:
        return {self.aliases[0]: self.quasi_identifiers}

    def found(self, scene: Scene) -> float | None:
        return presence(scene.frame, self.quasi_identifiers, scene.references[self.aliases[0]])
