"""Permissions to read originals, and daily budgets of rows.

One policy must permit every requested column and set the rows per day; a column without a class is
never permitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from dataward.access.decide import Asking, ColumnFacts, decide
from dataward.access.policies import Policies, of_access
from dataward.access.site import settings
from dataward.contract import Contract

__all__ = ["budget"]


def budget(contract: Contract, asking: Asking, classes: Mapping[str, str | None]) -> tuple[int, str]:
    """Return the rows per day of the first policy that permits all columns; 0 if none does, with the reason.

    Args:
        contract: the contract.
        asking: the request without a column.
        classes: class of each requested column.
    """
    unclassed = [name for name, class_ in classes.items() if class_ is None]
    if unclassed:
        return 0, f"column '{unclassed[0]}' has no class, so no line can allow it"
    governing = settings(contract)
    access = governing.access
    if not (access.governed or access.reidentify):
        return 0, f"no line of access.reidentify names '{asking.principal.name}'"
    policies = of_access(access)
    columns = [ColumnFacts(name, str(class_), "encrypted", True, True) for name, class_ in classes.items()]
    asked = [asking.about(column) for column in columns]
    decisions = decide(policies, asked)
    if governing.binding is not None and not all(one.allowed for one in decide(of_access(governing.binding), asked)):
        return 0, "the machine's settings do not permit it"
    if errors := [decision.why for decision in decisions if decision.errors]:
        return 0, errors[0]
    if all(decision.allowed for decision in decisions):
        shared = reduce(set.intersection, (set(decision.ids) for decision in decisions))
        budgets = [policies.annotations[name]["rows_per_day"] for name in sorted(shared, key=_number)
                   if "rows_per_day" in policies.annotations[name]]  # fmt: skip
        if budgets:
            return int(budgets[0]), ""
    forbidding = [name for decision in decisions if not decision.allowed for name in decision.policies]
    return 0, _why_not(policies, asking, forbidding)


def _number(policy: str) -> int:
    return int(policy.removeprefix("policy"))


def _why_not(policies: Policies, asking: Asking, forbidding: list[str]) -> str:
    who, purpose = asking.principal.name, asking.purpose
    if forbidding:
        return f"forbidden by {', '.join(dict.fromkeys(forbidding))}"
    if who not in policies.named("User") and not set(asking.principal.groups) & set(policies.named("Group")):
        return f"no line of access.reidentify names '{who}'"
    return f"no line of access.reidentify gives '{who}' these classes for the purpose '{purpose}'"
