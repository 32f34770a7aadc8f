"""``SchemaMatch "reference" = 1``: the same columns, of the same types, as another table."""

from __future__ import annotations

from dataward.quality.rules.base import SHARE
from dataward.quality.rules.families import Finding, Probe, Scene

__all__ = ["SchemaMatch"]


class SchemaMatch(Probe):
    """Share of columns (of either side) that both have under one name and type; their order does not matter.

    The verdict lists columns that were added, dropped or retyped. Dataward's own: ``with allowed = ["column", ...]`` ignores columns.
    Names are compared without case, types exactly. Reads no data.

    Example::

        SchemaMatch "reference" = 1            # 0.4286, FAILED
        SchemaMatch "reference" = 1 with allowed = ["mail", "score", "at", "raw"] # 1, PASSED
    """

    name = "SchemaMatch"
    span = SHARE
    tags = frozenset({"allowed"})

    @property
    def aliases(self) -> tuple[str, ...]:
        """References that the rule reads."""
        return (self.statement.parameters[0],)

    def probe(self, scene: Scene) -> Finding:
        """Measure the rule."""
        setting = self.statement.tag("allowed")
        allowed = {str(name).lower() for name in setting.operands} if setting else set()
        here = {name.lower(): kind for name, kind in scene.columns.items()}
        there = {name.lower(): kind for name, kind in scene.references[self.aliases[0]].dtypes}
        names = sorted((here.keys() | there.keys()) - allowed)
        added = [name for name in names if name not in there]
        dropped = [name for name in names if name not in here]
        retyped = [f"{name} ({there[name]} -> {here[name]})" for name in names
                   if name in here and name in there and here[name] != there[name]]  # fmt: skip
        drift = (("added", added), ("dropped", dropped), ("retyped", retyped))
        text = "; ".join(f"{word}: {', '.join(listed)}" for word, listed in drift if listed)
        different = len(added) + len(dropped) + len(retyped)
        return Finding(1 - different / len(names) if names else 1.0, text)
