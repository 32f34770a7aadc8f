"""A contract to begin with, as text: what was found in each column, with the policy's protection for it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dataward.contract.places import Source
from dataward.contract.policy import Policy

__all__ = ["DraftLine", "classed", "draft", "in_json"]


@dataclass(frozen=True)
class DraftLine:
    """A column or path, its class (None: nothing found), ``inside``: classes inside of its texts, and a note for people.
    ``json``: class by path inside of the JSON that a string holds."""

    path: str
    class_: str | None
    note: str
    inside: tuple[str, ...] = ()
    json: tuple[tuple[str, str], ...] = ()


def draft(
    source: Source,
    lines: Iterable[DraftLine],
    policy: Policy | None = None,
    policy_path: str | None = None,
    rules: Sequence[str] = (),
) -> str:
    """The text; it passes ``dataward contract check`` as it is. ``rules``: lines of DQDL, without the commas between them."""
    verb = "suggest" if rules else "discover"
    said = [f"    {rule}{',' if n < len(rules) - 1 else ''}" for n, rule in enumerate(rules)] or ["    RowCount > 0"]
    place = source.path or source.table or "table"
    name = re.sub(r"[^A-Za-z0-9_]+", "_", place.rstrip("/").rpartition("/")[2].partition(".")[0]).strip("_") or "table"
    written = json.dumps(source.model_dump(exclude_defaults=True, exclude_none=True, by_alias=True))
    head = [
        f"# A draft by 'dataward {verb}': read every line, {'mend' if rules else 'add'} rules, then: dataward contract check FILE",
        f"contract: {name}",
        f"source: {written}",
        f"target: {{path: lake/{name}}}",
        f"quarantine: {{path: lake/{name}_quarantine}}",
        f"keys: {{provider: local, path: conf/keys, domain: {name}}}",
        *([f"policy: {json.dumps(policy_path)}"] if policy_path else []),
        "rules: |",
        "  Rules = [",
        *said,
        "  ]",
        "columns:",
    ]
    body = [f"  {json.dumps(line.path)}: {_protect(line, policy)}   # {line.note}" for line in lines]
    return "\n".join([*head, *body, "default: refuse", ""])


def classed(class_: str, policy: Policy | None) -> str:
    """What a line says of a column of a class; a class that the policy knows is protected by it."""
    known = policy is not None and class_ in policy.classes
    return f"{{class: {class_}}}" if known else f"{{class: {class_}, protect: token}}"


def in_json(found: Iterable[tuple[str, str]]) -> str:
    """What a line says of a string that holds JSON, with the class of what lies at each path."""
    fields = ", ".join(f"{_key(path)}: {{class: {class_}, protect: token}}" for path, class_ in found)
    return f"{{protect: {{json: {{fields: {{{fields}}}, rest: keep}}}}}}"


def _key(path: str) -> str:
    """A key of YAML, in quotes where it would not be plain text."""
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", path) and path.lower() not in ("null", "true", "false")
    return path if plain else json.dumps(path)


def _protect(line: DraftLine, policy: Policy | None) -> str:
    if line.json:
        return in_json(line.json)
    if line.class_ == "protected":
        return "{protect: {keep: {reason: protected before}}}"
    if line.class_ is not None:
        return classed(line.class_, policy)
    if line.inside:
        return "{protect: redact_text}"
    return "{protect: keep}"
