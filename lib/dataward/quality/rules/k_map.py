"""``KMap "sex", "zip", "voters" >= 10``: the crowd that a row has in a population."""

from __future__ import annotations

from dataward.privacy.risk import k_map
from dataward.quality.rules.base import Scene
from dataward.quality.rules.disclosure import Disclosure

__all__ = ["KMap"]


class KMap(Disclosure):
    """The least number of rows of a reference (the last parameter) that agree in all quasi-identifiers with a row of the table.

    Dataward's own rule. NULL is a value like any other.

    Example::

        KMap "n", "reference" >= 1             # 0, FAILED
    """

    name = "KMap"
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
        return k_map(scene.frame, self.quasi_identifiers, scene.references[self.aliases[0]])
