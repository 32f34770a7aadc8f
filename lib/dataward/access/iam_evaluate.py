"""Evaluate an IAM policy on a request: actions, resources and conditions, according to AWS's documentation of identity-based policies.

Covers the policies of :mod:`dataward.access.iam` and common handwritten ones: Allow and Deny, ``*`` and ``?``, NotAction and NotResource,
and the condition operators of strings, ARNs, booleans and Null with ForAllValues, ForAnyValue and IfExists. An unknown operator
never allows: it makes an Allow false and a Deny true.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

__all__ = ["Request", "allows", "as_list", "matches"]


@dataclass(frozen=True)
class Request:
    """One call of AWS from the view of IAM.

    Attributes:
        action: for example ``s3:GetObject``.
        resource: the ARN of the call.
        context: values of condition keys; case is ignored in names.
    """

    action: str
    resource: str
    context: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def allows(policy: Mapping[str, Any], request: Request) -> bool:
    """Return whether a policy allows a request: some Allow matches and no Deny does."""
    statements = as_list(policy.get("Statement", ()))
    granted = any(_applies(s, request, unknown=False) for s in statements if s.get("Effect") == "Allow")
    return granted and not any(_applies(s, request, unknown=True) for s in statements if s.get("Effect") != "Allow")


def as_list(value: Any) -> list[Any]:
    """Return a list unchanged, and any other value in a list."""
    return list(value) if isinstance(value, list | tuple) else [value]


def matches(pattern: str, text: str, ignore_case: bool = False) -> bool:
    """Return whether a pattern with ``*`` and ``?`` matches the whole text."""
    return _compiled(pattern, ignore_case).fullmatch(text) is not None


@cache
def _compiled(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(c) or re.escape(c) for c in pattern), re.S | (re.I if ignore_case else 0))


def _applies(statement: Mapping[str, Any], request: Request, unknown: bool) -> bool:
    if "Action" in statement:
        named = any(matches(p, request.action, ignore_case=True) for p in as_list(statement["Action"]))
    else:
        named = not any(matches(p, request.action, ignore_case=True) for p in as_list(statement.get("NotAction", "*")))
    if "Resource" in statement:
        placed = any(matches(p, request.resource) for p in as_list(statement["Resource"]))
    else:
        placed = not any(matches(p, request.resource) for p in as_list(statement.get("NotResource", "*")))
    return named and placed and _conditions(statement.get("Condition", {}), request, unknown)


def _conditions(conditions: Mapping[str, Mapping[str, Any]], request: Request, unknown: bool) -> bool:
    context = {key.lower(): tuple(values) for key, values in request.context.items()}
    return all(
        _condition(operator, [str(v) for v in as_list(wanted)], context.get(key.lower()), unknown)
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


def _condition(operator: str, wanted: Sequence[str], found: tuple[str, ...] | None, unknown: bool) -> bool:
    quantifier, _, name = operator.rpartition(":")
    if name == "Null":
        return (found is None) == (wanted[0].lower() == "true")
    if_exists, name = name.endswith("IfExists"), name.removesuffix("IfExists")
    negated, base = name in NEGATED, NEGATED.get(name, name)
    if base not in COMPARE:
        return unknown
    if found is None:
        return if_exists or negated or quantifier == "ForAllValues"

    def holds(value: str) -> bool:
        return any(COMPARE[base](pattern, value) for pattern in wanted) != negated

    return all(map(holds, found)) if quantifier == "ForAllValues" or negated else any(map(holds, found))


NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotLike": "StringLike",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "ArnNotLike": "ArnLike",
    "ArnNotEquals": "ArnLike",
}
COMPARE: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": str.__eq__,
    "StringEqualsIgnoreCase": lambda wanted, found: wanted.lower() == found.lower(),
    "StringLike": matches,
    "ArnLike": matches,
    "ArnEquals": matches,
    "NumericEquals": lambda wanted, found: float(found) == float(wanted),
    "NumericLessThan": lambda wanted, found: float(found) < float(wanted),
    "NumericLessThanEquals": lambda wanted, found: float(found) <= float(wanted),
    "NumericGreaterThan": lambda wanted, found: float(found) > float(wanted),
    "NumericGreaterThanEquals": lambda wanted, found: float(found) >= float(wanted),
    "Bool": lambda wanted, found: wanted.lower() == found.lower(),
}
