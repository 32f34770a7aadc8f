"""A contract to begin with, as text: what was found in each column, with the policy's protection for it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dataward.contract.operation import Fallible
from dataward.contract.places import Source
from dataward.contract.policy import Policy

__all__ = ["DraftLine", "Drafting", "choices", "classed", "draft", "in_json", "plain_or_quoted"]


@dataclass(frozen=True)
class DraftLine:
    """A line of a draft.

    Attributes:
        path: a column or path.
        class_: its class; None: nothing was found.
        note: a note for people.
        inside: classes within its texts.
        json: (path, class) within the JSON of a string; the class is None where it was found within texts.
        free_text: whether patterns recognise only a part of the texts.
        also: columns of the same row whose values may occur in the texts.
    """

    path: str
    class_: str | None
    note: str
    inside: tuple[str, ...] = ()
    json: tuple[tuple[str, str | None], ...] = ()
    free_text: bool = False
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Drafting:
    """What a draft follows: a policy and its file, a file of detectors, ``rules`` as lines of DQDL without commas between."""

    policy: Policy | None = None
    policy_path: str | None = None
    detectors_path: str | None = None
    rules: Sequence[str] = ()


def draft(
    source: Source,
    lines: Iterable[DraftLine],
    how: Drafting | None = None,
    chosen: Mapping[str, int] | None = None,
) -> str:
    """Return the text of a contract; ``chosen`` gives by path the index of the choice of a line (default: the first)."""
    how, chosen = how or Drafting(), chosen or {}
    rules = how.rules
    verb = "suggest" if rules else "discover"
    said = [f"    {rule}{',' if n < len(rules) - 1 else ''}" for n, rule in enumerate(rules)] or ["    RowCount > 0"]
    place = (source.path or source.table or "table").rstrip("/")
    name = _name(place)
    # Never the source itself: it would be overwritten by what is protected.
    target = f"lake/{name}_published" if place.endswith((f"lake/{name}", f"lake.{name}")) else f"lake/{name}"
    written = flow(source.model_dump(exclude_defaults=True, exclude_none=True, by_alias=True))
    head = [
        f"# A draft by 'dataward {verb}': read every line, {'mend' if rules else 'add'} rules, then: dataward contract check FILE",
        f"contract: {name}",
        f"source: {written}",
        f"target: {{path: {target}}}",
        f"quarantine: {{path: {target}_quarantine}}",
        f"keys: {{provider: local, path: conf/keys, domain: {name}}}",
        *([f"policy: {quoted(how.policy_path)}"] if how.policy_path else []),
        *([f"discovery: {{detectors: {quoted(how.detectors_path)}}}"] if how.detectors_path else []),
        "rules: |",
        "  Rules = [",
        *said,
        "  ]",
        "columns:",
    ]
    body = []
    for line in lines:
        made = choices(line, how.policy)
        body.append(f"  {quoted(line.path)}: {made[min(chosen.get(line.path, 0), len(made) - 1)]}   # {line.note}")
    return "\n".join([*head, *body, "default: refuse", ""])


def choices(line: DraftLine, policy: Policy | None) -> tuple[str, ...]:
    """Return the possible entries of a column, the best first; later ones suit every type, or satisfy any policy."""
    named = policy.by_name(line.path) if policy is not None else None
    class_ = line.class_ or (named.class_ if named else None)
    if line.class_ == "protected":
        return ("{protect: {keep: {reason: protected before}}}", "{protect: token}")
    of_class: tuple[str, ...] = ("{protect: token}", "{protect: redact}")
    if class_ is not None:
        plain = (flow({"class": class_, "protect": one}) for one in ("token", "redact"))
        of_class = (classed(class_, policy), classed(class_, policy, "null"), *plain, *of_class)
    if line.json and not any("key" in path.split(".") for path, _ in line.json):
        return (in_json(line.json), *of_class)
    if line.json or class_ is not None:
        return of_class
    if line.inside or (line.free_text and line.also):
        also = {"redact_text": {"also": list(line.also)}} if line.also else "redact_text"
        return (flow({"protect": also}), *of_class)
    return ("{protect: keep}", *of_class)


def classed(class_: str, policy: Policy | None, last: str = "redact") -> str:
    """Return the entry of a column of a class; the policy protects a class that it knows.

    ``last`` is the fallback for values that the policy's protection refuses, so that no value stops the run.
    """
    if policy is None or class_ not in policy.classes:
        return flow({"class": class_, "protect": _token(class_)})
    protect = policy.classes[class_].protect
    if not isinstance(protect, Fallible) or not protect.stops(class_):
        return f"{{class: {class_}}}"
    return flow(
        {"class": class_, "protect": _never_stopping(protect, "null" if last == "null" else {"fallback": last})}
    )


def _token(class_: str) -> Any:
    """Return a token that takes every value: a phone number without its country has no canonical spelling, so its text is used."""
    return {"token": {"invalid": {"fallback": {"token": {"canonical": False}}}}} if class_ == "phone" else "token"


def in_json(found: Iterable[tuple[str, str | None]]) -> str:
    """Return the entry of a text column that holds JSON, with the class found at each path."""
    fields: dict[str, Any] = {}
    for path, class_ in found:
        text = {"redact_text": {"invalid": {"fallback": "token"}}}
        fields[path] = {"class": class_, "protect": _token(class_)} if class_ else {"protect": text}
    # `value` also stands for keys that are data, which no path can name.
    rest = "token" if any("value" in path.split(".") for path in fields) else "keep"
    return flow({"protect": {"json": {"fields": fields, "rest": rest, "invalid": {"fallback": "redact_text"}}}})


def flow(value: Any) -> str:
    """Return data as YAML on one line."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{plain_or_quoted(key)}: {flow(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(flow, value))}]"
    return plain_or_quoted(value) if isinstance(value, str) else json.dumps(value)


def quoted(text: str) -> str:
    """Return a text as YAML in double quotes, with unprintable characters escaped."""
    made = []
    for character in text:
        plain = character.isprintable() and character not in '"\\'
        made.append(character if plain else f"\\U{ord(character):08X}")
    return f'"{"".join(made)}"'


def plain_or_quoted(text: str) -> str:
    """Return a text as YAML, in quotes where plain YAML would change it."""
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", text) and text.lower() not in ("null", "true", "false", "y", "n")
    return text if plain and text.lower() not in ("yes", "no", "on", "off") else quoted(text)


def _name(place: str) -> str:
    """Return the contract's name, derived from its source's path or table."""
    name = re.sub(r"[^A-Za-z0-9_]+", "_", place.rpartition("/")[2].partition(".")[0]).strip("_")
    return (name if name[:1].isalpha() else f"table_{name}".rstrip("_"))[:60]


def _never_stopping(protect: Fallible, last: Any) -> dict[str, Any]:
    """Return a protection as data, with a final fallback that takes every value."""
    given = protect.model_dump(exclude_defaults=True, by_alias=True)
    below = protect.invalid.fallback
    invalid = {"fallback": _never_stopping(below, last)} if isinstance(below, Fallible) else last
    return {given.pop("op"): {**given, "invalid": invalid}}
