"""Cedar policies of a contract: those of its file, and its grants as policies; parsed and validated before any decision."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from dataward.access.verbs import GROUPS, SEEING, VERBS
from dataward.contract import Access, Allowed, Grant
from dataward.contract.pure import Impure, condition
from dataward.errors import RunError, UsageError, did_you_mean

__all__ = ["DEFAULT", "HELP", "Mistake", "Policies", "PolicyError", "cedar", "of_access", "parsed", "quoted", "schema"]

NAMESPACE = "Dataward"
HELP = "see docs/access.md"

Place = tuple[str | int, ...]

DEFAULT = """\
@id("default")
permit (principal, action in Dataward::Action::"ordinary", resource);
@id("default: columns that are stored as they came")
permit (principal, action == Dataward::Action::"read_clear", resource) when { !resource.sealed };
"""
"""Policies of a contract whose ``access`` names neither a policy nor grants: advisory, originals stay closed."""


@dataclass(frozen=True)
class Mistake:
    """What is wrong, and the entry of the contract at fault, e.g. ``("access", "grants", 0)``."""

    place: Place
    what: str

    def __str__(self) -> str:
        """Return the place and the mistake."""
        return f"{'.'.join(map(str, self.place))}: {self.what}"


class PolicyError(UsageError):
    """Policies or grants of a contract are invalid; holds every mistake."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        """Join the mistakes, one on each line."""
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(f"{mistake}; {HELP}" for mistake in self.mistakes))


def cedar() -> Any:
    """Return the module ``cedarpy``.

    Raises:
        RunError: the extra is not installed.
    """
    try:
        import cedarpy
    except ImportError:
        raise RunError("decisions by 'access' need Cedar: pip install 'dataward[access]'") from None
    return cedarpy


@cache
def schema() -> str:
    """Return the Cedar schema that policies are validated against."""
    groups = "\n".join(
        f"  action {name} in [{'any' if name == 'open' else 'ordinary'}];  // {what}" for name, what in GROUPS.items()
    )
    actions = "\n".join(
        f"  action {verb.name} in [{verb.group}] appliesTo {{ principal: [User], resource: [{verb.on}], context: Asked }};"
        for verb in VERBS.values()
    )
    return f"""\
namespace {NAMESPACE} {{
  // Groups are those of the operating system, roles of AWS, groups of Databricks.
  entity Group;
  entity User in [Group] = {{ name: String, kind: String }};
  // A table is named by its contract.
  entity Table = {{ contract: String, place: String, domain: String, classes: Set<String> }};
  // stored: kept, coarsened, encrypted, aliased or removed; sealed: a key opens what is stored.
  entity Column in [Table] = {{ name: String, class: String, stored: String, sensitive: Bool, sealed: Bool }};
  type Asked = {{ purpose: String, ticket: String, now: datetime, hour: Long, weekday: Long }};
  action any;
  action ordinary in [any];
{groups}
{actions}
}}
"""


@dataclass(frozen=True)
class Policies:
    """A validated set of policies.

    Attributes:
        text: the policies in Cedar's syntax.
        annotations: annotations of each policy by its ID in Cedar (``policy0``, ...).
        parts: each policy in Cedar's JSON, by the same IDs.
        handle: Cedar's parsed set.
        schema: Cedar's parsed schema.
    """

    text: str
    annotations: dict[str, dict[str, str]]
    parts: dict[str, dict[str, Any]] = field(repr=False)
    handle: Any = field(repr=False)
    schema: Any = field(repr=False)

    def name(self, policy: str) -> str:
        """Return the ``@id`` of a policy, or its number."""
        return self.annotations.get(policy, {}).get("id") or f"policy {int(policy.removeprefix('policy')) + 1}"

    def named(self, kind: str) -> tuple[str, ...]:
        """Return the users or groups that the policies name."""
        found = re.findall(rf'{NAMESPACE}::{kind}::"((?:[^"\\]|\\.)*)"', self.text)
        return tuple(dict.fromkeys(map(_unquoted, found)))


@lru_cache(maxsize=256)
def parsed(text: str, file: str = "", valid: bool = True) -> Policies:
    """Parse and validate policies.

    Args:
        text: the policies.
        file: name of their file, for messages.
        valid: validate them against the schema; parts of a valid policy may be invalid alone.

    Raises:
        PolicyError: with Cedar's message about each mistake.
    """
    module = cedar()
    if text.strip():
        try:
            parts = json.loads(module.policies_to_json_str(text))
            handle = module.PolicySet.from_str(text)
        except ValueError as error:
            raise _invalid(file, error) from None
        if parts["templates"]:
            raise _invalid(file, "templates (?principal, ?resource) are not supported: write policies")
        result = module.validate_policies(text, schema())
        if valid and not result.validation_passed:
            raise _invalid(file, *result.errors)
        parts = parts["staticPolicies"]
    else:
        parts, handle = {}, module.PolicySet.from_str("")
    made = Policies(
        text,
        {
            name: {key: value or "" for key, value in part.get("annotations", {}).items()}
            for name, part in parts.items()
        },
        parts,
        handle,
        module.Schema.from_str(schema()),
    )
    if wrong := [f"{made.name(name)}: {what}" for name in parts if (what := _wrong_annotation(made, name))]:
        raise _invalid(file, *wrong)
    return made


def _invalid(file: str, *errors: object) -> PolicyError:
    """Return the error about a file of policies, with one mistake for each of Cedar's errors."""
    place: Place = ("access", "policy") if file else ("access",)
    said = (" ".join(str(error).split()) for error in errors)
    return PolicyError(Mistake(place, f"{file}: {text}" if file else text) for text in said)


def _wrong_annotation(policies: Policies, name: str) -> str:
    """Return what is wrong with the value of a known annotation; empty: nothing."""
    given, effect = policies.annotations[name], policies.parts[name]["effect"]
    if (rows := given.get("rows")) is not None:
        if effect == "forbid":
            return "@rows goes with permit: a forbid denies all rows"
        try:
            condition(rows)
        except Impure as error:
            return f"@rows: {error}"
    if (number := given.get("rows_per_day")) is not None and not re.fullmatch(r"[1-9][0-9]{0,12}", number):
        return "@rows_per_day: write a whole number from 1"
    return ""


def of_access(access: Access) -> Policies:
    """Return the policies of a contract's ``access``.

    These are the policies of its file, its grants and re-identification entries as policies, and the default policies where it has
    neither a file nor grants.

    Raises:
        PolicyError: the policy file cannot be read, or a policy or a grant is invalid.
        RunError: the extra is not installed.
    """
    if mistakes := [*_mistakes(access)]:
        raise PolicyError(mistakes)
    made = [] if access.governed else [DEFAULT]
    made += [_grant(f"access.grants.{number}", grant) for number, grant in enumerate(access.grants)]
    made += [_allowed(f"access.reidentify.{number}", line) for number, line in enumerate(access.reidentify)]
    grants = "\n".join(made)
    if not access.policy:
        return parsed(grants)
    try:
        text = Path(access.policy).read_text(encoding="utf-8")
    except OSError as error:
        raise _invalid(access.policy, error.strerror) from None
    except UnicodeDecodeError:
        raise _invalid(access.policy, "not UTF-8 text") from None
    parsed(text, access.policy)  # alone first, so that the numbers in messages are those of the file's policies
    return parsed(f"{text}\n{grants}", access.policy)


def _mistakes(access: Access) -> Iterator[Mistake]:
    """Yield the mistakes of grants."""
    for number, grant in enumerate(access.grants):
        place: Place = ("access", "grants", number)
        for verb in grant.verbs:
            if verb not in VERBS and verb not in GROUPS:
                remedy = did_you_mean(verb, [*VERBS, *GROUPS]) or f"verbs are {', '.join(VERBS)}"
                yield Mistake(place, f"verb '{verb}' is unknown; {remedy}")
        if (grant.see or grant.rows) and not {"read", "look", "train", "operate"} & set(grant.verbs):
            yield Mistake(place, "'see' and 'rows' go with the verb read")
        if grant.rows:
            try:
                condition(grant.rows)
            except Impure as error:
                yield Mistake((*place, "rows"), str(error))


def _grant(name: str, grant: Grant) -> str:
    """Translate a grant: one policy for its verbs, and one for each level of columns."""
    who = [f"principal == {_entity('User', one)}" for one in grant.principals]
    who += [f"principal in {_entity('Group', one)}" for one in grant.groups]
    when = [f"({' || '.join(who)})"] if who else []
    if grant.purposes:
        when.append(f"[{', '.join(map(quoted, grant.purposes))}].contains(context.purpose)")
    if grant.until:
        when.append(f'context.now < datetime("{grant.until.isoformat()}T00:00:00Z").offset(duration("1d"))')
    rows = f"@rows({quoted(grant.rows)})\n" if grant.rows else ""
    actions = ", ".join(_entity("Action", verb) for verb in grant.verbs)
    made = [_permit(name, f"action in [{actions}]", when, rows)]
    seen = [verb for verb in ("read", "look") if verb in grant.verbs]
    if seen or grant.see:
        public = [_entity("Action", action) for action in SEEING.values()]
        made.append(_permit(f"{name}.see", f"action in [{', '.join(public)}]", [*when, "!resource.sensitive"]))
    for place, level in _levels(grant):
        for action in _from(level):
            made.append(_permit(f"{name}.see.{level}", f"action == {_entity('Action', action)}", [*when, place]))
    return "\n".join(made)


def _levels(grant: Grant) -> Iterator[tuple[str, str]]:
    """Yield the condition on columns, and their level."""
    named = [class_ for class_ in grant.see if class_ != "default"]
    by_level: dict[str, list[str]] = {}
    for class_ in named:
        by_level.setdefault(grant.see[class_], []).append(class_)
    for level, classes in by_level.items():
        yield f"[{', '.join(map(quoted, classes))}].contains(resource.class)", level
    if "default" in grant.see:
        others = f"!([{', '.join(map(quoted, named))}].contains(resource.class))" if named else "true"
        yield f"resource.sensitive && {others}", grant.see["default"]


def _from(level: str) -> list[str]:
    """Return the actions of a level and of lower ones, so that a forbid of one keeps the next."""
    names = list(SEEING)
    return [SEEING[name] for name in names[names.index(level) :]] if level in names else []


def _allowed(name: str, line: Allowed) -> str:
    who = " || ".join(f"principal == {_entity('User', one)}" for one in line.principals)
    when = [
        f"({who})",
        f"[{', '.join(map(quoted, line.classes))}].contains(resource.class)",
        f"[{', '.join(map(quoted, line.purposes))}].contains(context.purpose)",
    ]
    return _permit(
        name, f"action == {_entity('Action', 'reidentify')}", when, f'@rows_per_day("{line.rows_per_day}")\n'
    )


def _permit(name: str, action: str, when: Iterable[str], annotations: str = "") -> str:
    conditions = " &&\n  ".join(when)
    ending = f" when {{\n  {conditions}\n}}" if conditions else ""
    return f"@id({quoted(name)})\n{annotations}permit (principal, {action}, resource){ending};"


def _entity(kind: str, name: str) -> str:
    return f"{NAMESPACE}::{kind}::{quoted(name)}"


def quoted(text: str) -> str:
    """Return a text as a Cedar literal."""
    safe = "".join(c if c.isprintable() and c not in '"\\' else f"\\u{{{ord(c):x}}}" for c in text)
    return f'"{safe}"'


def _unquoted(text: str) -> str:
    plain = {"n": "\n", "r": "\r", "t": "\t", "0": "\0"}

    def one(match: re.Match[str]) -> str:
        code = match.group(1)
        return chr(int(code[2:-1], 16)) if code.startswith("u{") else plain.get(code, code)

    return re.sub(r"\\(u\{[0-9a-fA-F]+\}|.)", one, text)
