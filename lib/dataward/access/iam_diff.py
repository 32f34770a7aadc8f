"""Compare a policy with another policy, or with CloudTrail's records of a role."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dataward.access.iam_evaluate import Request, allows, as_list, matches

__all__ = ["Difference", "against_policy", "against_trail", "requests_of"]

ACTIONS = {  # CloudTrail names the call, IAM its permission
    "s3:HeadObject": "s3:GetObject",
    "s3:CopyObject": "s3:PutObject",
    "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:UploadPart": "s3:PutObject",
    "s3:UploadPartCopy": "s3:PutObject",
    "s3:CompleteMultipartUpload": "s3:PutObject",
    "s3:ListObjects": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:DeleteObjects": "s3:DeleteObject",
}
FREE = ("sts:GetCallerIdentity", "sts:AssumeRole")


@dataclass(frozen=True)
class Difference:
    """One finding: ``missing``, ``unused`` or ``too wide``; the action, the resources, and a remedy."""

    kind: str
    action: str
    resource: str
    remedy: str


def against_policy(ours: Mapping[str, Any], given: Mapping[str, Any]) -> list[Difference]:
    """Compare a given policy with the smallest one.

    Returns:
        Grants of ``given`` that ``ours`` does not cover (too wide), and grants of ``ours`` that ``given`` lacks (missing).
    """
    mine, theirs = list(_grants(ours)), list(_grants(given))
    wide = [grant for grant in theirs if not any(_covers(own, grant) for own in mine)]
    lacking = [own for own in mine if not any(_covers(grant, own, conditions=False) for grant in theirs)]
    found = [
        Difference("too wide", grant.action, grant.resource, _narrower(grant, mine)) for grant in dict.fromkeys(wide)
    ]
    found += [Difference("missing", own.action, own.resource, "add it") for own in dict.fromkeys(lacking)]
    return found


def against_trail(policy: Mapping[str, Any], records: Iterable[Mapping[str, Any]]) -> list[Difference]:
    """Compare a policy with recorded requests.

    Requests that the policy refuses (missing), and its grants that no request used (unused).
        Requests that the policy refuses (missing), and its grants that no request used (unused).
    """
    asked = [request for record in records for request in requests_of(record)]
    refused = {(r.action, r.resource): None for r in asked if not allows(policy, r)}
    found = [Difference("missing", *pair, "the role asked for it: is it this job's?") for pair in refused]
    for grant in dict.fromkeys(_grants(policy)):
        used = any(matches(grant.action, r.action, True) and matches(grant.resource, r.resource) for r in asked)
        if not used:
            found.append(Difference("unused", grant.action, grant.resource, "no record uses it: record for longer"))
    return found


def requests_of(record: Mapping[str, Any]) -> Iterator[Request]:
    """Return IAM's requests of one CloudTrail record; nothing for calls that need no permission."""
    service = str(record.get("eventSource", "")).partition(".")[0]
    called = f"{'logs' if service == 'logs' else service}:{record.get('eventName', '')}"
    action = ACTIONS.get(called, called)
    if action in FREE:
        return
    said: Mapping[str, Any] = record.get("requestParameters") or {}
    context = {}
    if service == "s3":
        for name in ("prefix", "delimiter", "max-keys"):
            if name in said:
                context[f"s3:{name}"] = (str(said[name]),)
    for name, value in (said.get("encryptionContext") or {}).items():
        context[f"kms:EncryptionContext:{name}"] = (str(value),)
    if said.get("encryptionContext"):
        context["kms:EncryptionContextKeys"] = tuple(said["encryptionContext"])
    for resource in _resources(service, action, record, said):
        yield Request(action, resource, context)


def _resources(service: str, action: str, record: Mapping[str, Any], said: Mapping[str, Any]) -> list[str]:
    if service == "s3":
        bucket = f"arn:aws:s3:::{said.get('bucketName', '*')}"
        return [bucket if action == "s3:ListBucket" or not said.get("key") else f"{bucket}/{said['key']}"]
    if service == "logs":
        region, account = record.get("awsRegion", "*"), record.get("recipientAccountId", "*")
        group, stream = said.get("logGroupName", "*"), said.get("logStreamName", "")
        return [f"arn:aws:logs:{region}:{account}:log-group:{group}:log-stream:{stream}"]
    arns = [str(entry.get("ARN") or entry.get("arn") or "") for entry in record.get("resources") or ()]
    return [arn for arn in arns if arn] or ["*"]


@dataclass(frozen=True)
class _Grant:
    action: str
    resource: str
    conditions: frozenset[tuple[str, str, str]] = frozenset()


def _grants(policy: Mapping[str, Any]) -> Iterator[_Grant]:
    """Return every allowed pair of action and resource of a policy, with normalised conditions."""
    for statement in as_list(policy.get("Statement", ())):
        if statement.get("Effect") != "Allow":
            continue
        conditions = frozenset(
            (operator, key.lower(), value)
            for operator, keys in statement.get("Condition", {}).items()
            for key, values in keys.items()
            for value in map(str, as_list(values))
        )
        actions = as_list(statement["Action"]) if "Action" in statement else ["*"]
        for action in actions:
            for resource in as_list(statement.get("Resource", "*")):
                yield _Grant(action, resource, conditions)


def _covers(own: _Grant, grant: _Grant, conditions: bool = True) -> bool:
    """Return whether a grant covers another: its patterns match the other's, and the other has all of its conditions."""
    named = matches(own.action, grant.action, True) and matches(own.resource, grant.resource)
    return named and (not conditions or _implied(own, grant))


def _implied(own: _Grant, grant: _Grant) -> bool:
    """Return whether the other grant has every condition of this one, with no further value."""
    for operator, key in {(operator, key) for operator, key, _ in own.conditions}:
        mine = {value for o, k, value in own.conditions if (o, k) == (operator, key)}
        theirs = {value for o, k, value in grant.conditions if (o, k) == (operator, key)}
        if not theirs or not all(any(matches(pattern, value) for pattern in mine) for value in theirs):
            return False
    return True


def _narrower(grant: _Grant, mine: list[_Grant]) -> str:
    named = [own for own in mine if matches(grant.action, own.action, True)]
    inside = [own for own in named if matches(grant.resource, own.resource) or own.resource == grant.resource]
    if not named:
        return "the verb does not need it: remove it"
    if inside and all(own.action == grant.action and own.resource == grant.resource for own in inside):
        keys = sorted({key for own in inside for _, key, _ in own.conditions})
        return f"add the conditions on {', '.join(keys)}"
    shown = inside or named
    actions, resources = sorted({own.action for own in shown}), sorted({own.resource for own in shown})
    return f"{', '.join(actions)} on {', '.join(resources)} is enough"
