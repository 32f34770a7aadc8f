"""Explain decisions: the reason, the policies that would change it, the permitted principals, and tables of cases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from dataward.access.decide import Asking, Decision, Principal, decide
from dataward.access.policies import Policies, cedar, parsed

__all__ = ["Explained", "Near", "alone", "explain", "who_can"]

ANY = {"op": "All"}
SCOPE = ("principal", "action", "resource")


@dataclass(frozen=True)
class Near:
    """A permitting policy that does not apply; ``lacks``: the conditions that a request would have to fulfil, in Cedar's syntax."""

    policy: str
    lacks: tuple[str, ...]
    text: str

    @property
    def words(self) -> str:
        """Return what is missing, for a terminal."""
        return f"{self.policy} would permit it, if {' and '.join(self.lacks)}"


@dataclass(frozen=True)
class Explained:
    """A decision, the text of the deciding policies, and the policies that would change it."""

    decision: Decision
    texts: tuple[str, ...]
    near: tuple[Near, ...] = ()


def explain(policies: Policies, asking: Asking) -> Explained:
    """Decide a request with its reasons; for a denial, name the policies for this verb and resource that would permit it."""
    (decision,) = decide(policies, [asking])
    names = set(decision.policies)
    texts = tuple(_text(part) for name, part in policies.parts.items() if policies.name(name) in names)
    if decision.allowed or decision.errors:
        return Explained(decision, texts)
    near = []
    for name, part in policies.parts.items():
        parts = [
            {**part, **dict.fromkeys(set(SCOPE) - {scope}, ANY), "conditions": []} for scope in ("action", "resource")
        ]
        if part["effect"] == "permit" and all(alone(one, asking) for one in parts) and (lacks := _lacks(part, asking)):
            near.append(Near(policies.name(name), lacks, _text(part)))
    return Explained(decision, texts, tuple(sorted(near, key=lambda one: len(one.lacks))))


def _lacks(part: dict[str, Any], asking: Asking) -> tuple[str, ...]:
    """Return the parts of a policy's principal and conditions that are false for a request, each evaluated alone."""
    bare = {**part, **dict.fromkeys(SCOPE, ANY), "conditions": [], "annotations": {}}
    scope = {**bare, "principal": part["principal"]}
    missing = [] if alone(scope, asking) else [_inside(_text(scope), "(", ", action")]
    for condition in part["conditions"]:
        bodies = list(_conjuncts(condition["body"])) if condition["kind"] == "when" else [condition["body"]]
        for body in bodies:
            single = {**bare, "conditions": [{**condition, "body": body}]}
            if not alone(single, asking):
                words = _inside(_text(single), "{", "};")
                missing.append(words if condition["kind"] == "when" else f"not ({words})")
    return tuple(missing)


def _conjuncts(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the parts of a conjunction."""
    if both := body.get("&&"):
        yield from _conjuncts(both["left"])
        yield from _conjuncts(both["right"])
    else:
        yield body


def alone(part: dict[str, Any], asking: Asking) -> bool:
    """Return whether a policy, as Cedar's JSON, permits a request by itself; errors count as denial."""
    # Parts of a valid policy may not validate alone.
    return decide(parsed(_text({**part, "effect": "permit"}), valid=False), [asking])[0].allowed


def _inside(text: str, opening: str, closing: str) -> str:
    inner = text.partition(opening)[2].rpartition(closing)[0].strip()
    return inner.replace("Dataward::", "")


def _text(part: dict[str, Any]) -> str:
    """Return one policy in Cedar's syntax."""
    whole = {"staticPolicies": {"policy0": part}, "templates": {}, "templateLinks": []}
    return str(cedar().policies_from_json_str(json.dumps(whole))).strip()


def who_can(policies: Policies, asking: Asking) -> list[tuple[str, str, Decision]]:
    """Decide a request for each user and each group of the policies, and for somebody who is not named.

    Returns:
        Kind (``user``, ``group`` or ``anyone``), name, and decision. A user is decided without groups.
    """
    stranger = Principal("somebody else")
    asked = [("anyone", "", stranger)]
    asked += [("group", name, replace(stranger, groups=(name,))) for name in policies.named("Group")]
    asked += [("user", name, Principal(name)) for name in policies.named("User")]
    decisions = decide(policies, [replace(asking, principal=principal) for _, _, principal in asked])
    return [(kind, name, decision) for (kind, name, _), decision in zip(asked, decisions, strict=True)]
