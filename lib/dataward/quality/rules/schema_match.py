"""``SchemaMatch "reference" = 1``: the same columns, of the same types, as another table."""

from __future__ import annotations

from dataward.quality.rules.base import SHARE, Finding, Probe, Scene

__all__ = ["SchemaMatch"]


class SchemaMatch(Probe):
    """Share of columns (of either side) that both have under one name and type; their order does not matter.

    Drift is told: columns added, dropped, retyped. Ours: ``with allowed = ["column", ...]`` leaves columns out of
    account. Names are compared without case, types exactly. Reads no data.

    Example::

        SchemaMatch "reference" = 1            # 0.4286, FAILED
        SchemaMatch "reference" = 1 with allowed = ["mail", "score", "at", "raw"] # 1, PASSED
    """

    name = "SchemaMatch"
    span = SHARE
    tags = frozenset({"allowed"})

    @property
    def aliases(self) -> tuple[str, ...]:
        return (self.statement.parameters[0],)

    def probe(self, scene: Scene) -> Finding:
        said = self.statement.tag("allowed")
        allowed = {str(name).lower() for name in said.operands} if said else set()
        here = {name.lower(): kind for name, kind in scene.columns.items()}
        there = {name.lower(): kind for name, kind in scene.references[self.aliases[0]].dtypes}
        names = sorted((here.keys() | there.keys()) - allowed)
        added = [name for name in names if name not in there]
        dropped = [name for name in names if name not in here]
        retyped = [f"{name} ({there[name]} -> {here[name]})" for name in names
                   if name in here and name in there and here[name] != there[name]]  # fmt: skip
        drift = (("added", added), ("dropped", dropped), ("retyped", retyped))
        told = "; ".join(f"{word}: {', '.join(found)}" for word, found in drift if found)
        strange = len(added) + len(dropped) + len(retyped)
        return Finding(1 - strange / len(names) if names else 1.0, told)
