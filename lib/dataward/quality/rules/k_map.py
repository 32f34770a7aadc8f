"""``KMap "sex", "zip", "voters" >= 10``: the size of a row's class in a population."""

from __future__ import annotations

from dataward.quality.risk import k_map
from dataward.quality.rules.disclosure import Disclosure
from dataward.quality.rules.families import Scene

__all__ = ["KMap"]


class KMap(Disclosure):
    """Smallest number of rows of a reference (the last parameter) that have the same quasi-identifiers as a row of the table.

    Dataward's own rule. NULL is a value like any other.

    Example::

        KMap "n", "reference" >= 1             # 0, FAILED
    """

    name = "KMap"
    parameters = (2, None)
    others = 1

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the source that the rule reads."""
        return self.quasi_identifiers

    @property
    def aliases(self) -> tuple[str, ...]:
        """References that the rule reads."""
        return (self.statement.parameters[-1],)

    def reference_columns(self) -> dict[str, tuple[str, ...]]:
        """Return the columns of each reference that the rule reads."""
        return {self.aliases[0]: self.quasi_identifiers}

    def found(self, scene: Scene) -> float | None:
        """Measure the rule."""
        return k_map(scene.frame, self.quasi_identifiers, scene.references[self.aliases[0]])
