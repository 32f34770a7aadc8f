"""Decide whether a principal may make a request: pure functions of policies and plain data.

Requests without a permitting policy are denied, and so is every request for which Cedar reports an error, even if another
policy permits it (otherwise a forbid whose condition fails would be skipped).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from dataward.access.policies import NAMESPACE, Policies, cedar
from dataward.access.verbs import VERBS

__all__ = ["Asking", "ColumnFacts", "Decision", "Principal", "TableFacts", "decide"]


@dataclass(frozen=True)
class Principal:
    """A principal: name and groups from the platform.

    Attributes:
        kind: the platform: ``os``, ``sts``, ``databricks``; ``named`` in questions about policies.
    """

    name: str
    kind: str = "named"
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class ColumnFacts:
    """Facts about a column for policies.

    Attributes:
        class_: class of the data; empty: none.
        stored: strength of its protection: kept, coarsened, encrypted, aliased or removed.
        sensitive: whether it has a class or a protection.
        sealed: whether a key opens the stored values.
    """

    name: str
    class_: str = ""
    stored: str = "kept"
    sensitive: bool = False
    sealed: bool = False


@dataclass(frozen=True)
class TableFacts:
    """Facts about a table for policies; its name is that of its contract."""

    name: str
    place: str = ""
    domain: str = ""
    columns: tuple[ColumnFacts, ...] = ()

    def column(self, name: str) -> ColumnFacts | None:
        """Return a column by name, ignoring case."""
        return next((column for column in self.columns if column.name.lower() == name.lower()), None)


@dataclass(frozen=True)
class Asking:
    """One request. ``column`` is given exactly for verbs on columns."""

    principal: Principal
    verb: str
    table: TableFacts
    column: ColumnFacts | None = None
    purpose: str = ""
    ticket: str = ""
    now: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    def about(self, column: ColumnFacts, verb: str | None = None) -> Asking:
        """Return the same request about a column."""
        return replace(self, column=column, verb=verb or self.verb)


@dataclass(frozen=True)
class Decision:
    """A decision.

    Attributes:
        policies: names of the deciding policies: those that permit, or those that forbid.
        ids: their IDs in :class:`Policies`.
        annotations: annotations of the permitting policies.
        errors: errors of the evaluation, which deny the request.
    """

    allowed: bool
    policies: tuple[str, ...] = ()
    annotations: tuple[dict[str, str], ...] = ()
    errors: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()

    @property
    def why(self) -> str:
        """Return the reason in one line."""
        if self.errors:
            return f"it could not be decided: {'; '.join(self.errors)}"
        names = ", ".join(dict.fromkeys(self.policies))
        if self.allowed:
            return f"permitted by {names}"
        return f"forbidden by {names}" if names else "no policy permits it"

    @property
    def rows(self) -> str | None:
        """Return the SQL condition on the readable rows; None: all rows. Conditions of several permits are united."""
        conditions = list(dict.fromkeys(given.get("rows") for given in self.annotations))
        if not self.allowed:
            return "false"
        if not conditions or None in conditions:
            return None
        texts = [str(text) for text in conditions]
        return texts[0] if len(texts) == 1 else " OR ".join(f"({text})" for text in texts)


def decide(policies: Policies, asked: Sequence[Asking]) -> list[Decision]:
    """Decide requests in batches, one for each principal and table; decisions are in the order of the requests."""
    found: list[Decision | None] = [None] * len(asked)
    batches: dict[tuple[Principal, TableFacts], list[int]] = {}
    for number, one in enumerate(asked):
        if trouble := _misfit(one):
            found[number] = Decision(False, errors=(trouble,))
        else:
            batches.setdefault((one.principal, one.table), []).append(number)
    for numbers in batches.values():
        for number, decision in zip(numbers, _batch(policies, [asked[n] for n in numbers]), strict=True):
            found[number] = decision
    return [one or Decision(False, errors=("Cedar gave no answer",)) for one in found]


def _misfit(one: Asking) -> str:
    verb = VERBS.get(one.verb)
    if verb is None:
        return f"verb '{one.verb}' is unknown"
    if (one.column is None) == (verb.on == "Column"):
        return f"verb '{one.verb}' acts on a {verb.on.lower()}"
    return ""


def _batch(policies: Policies, asked: Sequence[Asking]) -> list[Decision]:
    """Decide requests of one principal about one table."""
    try:
        module = cedar()
        entities = module.Entities.from_json_str(_entities(asked[0].principal, asked[0].table, asked), policies.schema)
        requests = [_request(one) for one in asked]
        answers = module.is_authorized_batch(requests, policies.handle, entities, policies.schema)
        made = [_decision(policies, answer) for answer in answers]
    except Exception as error:  # any error denies
        return [Decision(False, errors=(f"{type(error).__name__}",))] * len(asked)
    return made if len(made) == len(asked) else [Decision(False, errors=("Cedar gave too few answers",))] * len(asked)


def _decision(policies: Policies, answer: Any) -> Decision:
    reasons = tuple(sorted(answer.diagnostics.reasons, key=_number))
    errors = tuple(" ".join(str(error).split()) for error in answer.diagnostics.errors)
    permitted = bool(answer.allowed) and bool(reasons) and not errors
    if str(answer.decision.value) == "NoDecision" and not errors:
        errors = ("Cedar gave no decision",)
    annotations = tuple(policies.annotations[name] for name in reasons) if permitted else ()
    return Decision(permitted, tuple(policies.name(name) for name in reasons), annotations, errors, reasons)


def _number(policy: str) -> int:
    return int(policy.removeprefix("policy"))


def _request(one: Asking) -> dict[str, Any]:
    now = one.now.astimezone(timezone.utc)
    resource = ("Column", _column_id(one.table, one.column)) if one.column else ("Table", one.table.name)
    return {
        "principal": _uid("User", one.principal.name),
        "action": _uid("Action", one.verb),
        "resource": _uid(*resource),
        "context": {
            "purpose": one.purpose,
            "ticket": one.ticket,
            "now": {"__extn": {"fn": "datetime", "arg": f"{now:%Y-%m-%dT%H:%M:%SZ}"}},
            "hour": now.hour,
            "weekday": now.isoweekday(),
        },
    }


def _uid(kind: str, name: str) -> dict[str, str]:
    return {"type": f"{NAMESPACE}::{kind}", "id": name}


def _column_id(table: TableFacts, column: ColumnFacts | None) -> str:
    return f"{table.name}/{column.name if column else ''}"


def _entities(principal: Principal, table: TableFacts, asked: Iterable[Asking]) -> str:
    import json

    columns = {one.column.name: one.column for one in asked if one.column}
    classes = sorted({column.class_ for column in table.columns if column.class_})
    user = {"name": principal.name, "kind": principal.kind}
    place = {"contract": table.name, "place": table.place, "domain": table.domain, "classes": classes}
    made = [_entity("User", principal.name, user, [("Group", group) for group in dict.fromkeys(principal.groups)])]
    made += [_entity("Group", group, {}) for group in dict.fromkeys(principal.groups)]
    made.append(_entity("Table", table.name, place))
    for column in columns.values():
        attributes = {
            "name": column.name,
            "class": column.class_,
            "stored": column.stored,
            "sensitive": column.sensitive,
            "sealed": column.sealed,
        }
        made.append(_entity("Column", _column_id(table, column), attributes, [("Table", table.name)]))
    return json.dumps(made)


def _entity(
    kind: str, name: str, attributes: dict[str, Any], parents: Iterable[tuple[str, str]] = ()
) -> dict[str, Any]:
    return {
        "uid": _uid(kind, name),
        "attrs": attributes,
        "parents": [_uid(parent, of) for parent, of in parents],
    }
