"""Audit events in the Open Cybersecurity Schema Framework (OCSF 1.8): one for every call of a verb.

Classes: Datastore Activity (6005) for tables, Entity Management (3004) for keys and approvals, Data Security Finding (2006) for
discoveries. An event contains names, numbers and reasons, but never conditions, subjects, rows or values.
"""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal

from dataward.access.decide import Principal
from dataward.access.verbs import ENTITY, Verb, verb

__all__ = ["Begun", "Outcome", "Subject", "event", "interrupted", "line"]

OCSF = "1.8.0"
CLASSES = {6005: (6, "Application Activity", "Datastore Activity"), 3004: (3, "Identity & Access Management", "Entity Management"),
           2006: (2, "Findings", "Data Security Finding")}  # fmt: skip
ACTIVITIES = {
    6005: ("Unknown", "Read", "Update", "Connect", "Query", "Write", "Create", "Delete", "List", "Encrypt", "Decrypt"),
    3004: ("Unknown", "Create", "Read", "Update", "Delete"),
    2006: ("Unknown", "Create", "Update", "Close"),
}
LONGEST = 500
"""Most characters of a caller's text: purpose, ticket, reason."""

Status = Literal["success", "failure", "denied", "interrupted"]


@dataclass(frozen=True)
class Subject:
    """Subject of a verb: the table of a contract, or a place without a contract."""

    contract: str
    table: str
    domain: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class Begun:
    """One call of a verb at its start."""

    verb: Verb
    who: Principal
    subject: Subject
    product: str
    purpose: str = ""
    ticket: str = ""
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))
    time: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    def text(self) -> str:
        """Return JSON for :meth:`of`."""
        fields = {
            "verb": self.verb.name,
            "who": vars(self.who),
            "subject": vars(self.subject),
            "time": self.time.isoformat(),
        }
        return json.dumps(
            {**fields, "product": self.product, "purpose": self.purpose, "ticket": self.ticket, "uid": self.uid}
        )

    @classmethod
    def of(cls, text: str) -> Begun:
        """Read the text of :meth:`text`.

        Raises:
            ValueError: the text is damaged.
        """
        try:
            data = json.loads(text)
            who = data["who"]
            return cls(verb(data["verb"]), Principal(who["name"], who["kind"], tuple(who["groups"])), Subject(**data["subject"]),
                       data["product"], data["purpose"], data["ticket"], data["uid"], datetime.fromisoformat(data["time"]))  # fmt: skip
        except (KeyError, TypeError) as error:
            raise ValueError(f"not the start of a verb: {type(error).__name__}") from None


@dataclass(frozen=True)
class Outcome:
    """Outcome of a call. ``details``: numbers and names from its result."""

    status: Status
    reason: str = ""
    code: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


def event(begun: Begun, outcome: Outcome, ended: datetime | None = None) -> dict[str, Any]:
    """Return the event of one call; the spool adds its sequence."""
    ended = max(ended or datetime.now(timezone.utc), begun.time)
    known, held = begun.verb, outcome.status == "success"
    category, category_name, class_name = CLASSES[known.class_uid]
    time, start = _milliseconds(ended), _milliseconds(begun.time)
    fields = {
        "activity_id": known.activity,
        "activity_name": ACTIVITIES[known.class_uid][known.activity],
        "category_uid": category,
        "category_name": category_name,
        "class_uid": known.class_uid,
        "class_name": class_name,
        "type_uid": known.class_uid * 100 + known.activity,
        "type_name": f"{class_name}: {ACTIVITIES[known.class_uid][known.activity]}",
        "time": time,
        "start_time": start,
        "end_time": time,
        "duration": time - start,
        "severity_id": 1 if held else 3,
        "severity": "Informational" if held else "Medium",
        "message": f"{known.name} {begun.subject.contract or begun.subject.table}: {outcome.status}",
        "metadata": {
            "version": OCSF,
            "uid": begun.uid,
            "product": {"name": "Dataward", "vendor_name": "Dataward", "version": begun.product},
            "logged_time": time,
            "profiles": ["host"] if known.class_uid == ENTITY else [],  # `actor` is part of this profile only here
            "correlation_uid": str(outcome.details.get("run_id") or begun.uid),
        },
        "actor": {"app_name": f"dataward {known.name}", "user": _user(begun.who), "process": {"pid": os.getpid()}},
        "unmapped": {
            "dataward": {
                "verb": known.name,
                "status": outcome.status,
                "purpose": begun.purpose[:LONGEST],
                "ticket": begun.ticket[:LONGEST],
                "contract_sha256": begun.subject.sha256,
                **outcome.details,
            }
        },
    }
    return {**fields, **_of_class(begun, outcome)}


def _of_class(begun: Begun, outcome: Outcome) -> dict[str, Any]:
    """Return the attributes that differ by class."""
    held, subject = outcome.status == "success", begun.subject
    status = {
        "status_id": 1 if held else 2,
        "status": "Success" if held else "Failure",
        "status_code": outcome.code or outcome.status,
    }
    detail = {"status_detail": outcome.reason[:LONGEST]} if outcome.reason else {}
    table = {"name": subject.contract or subject.table, "uid": subject.table}
    source = {"src_endpoint": {"hostname": socket.gethostname()}}
    if begun.verb.class_uid == 6005:
        return {**status, **detail, **source, "type_id": 3, "type": "Table", "table": table}
    if begun.verb.class_uid == 3004:
        entity = {
            "name": subject.domain or subject.contract,
            "type": "Key domain" if subject.domain else "Contract",
            "uid": subject.table,
        }
        return {
            **status,
            **detail,
            **source,
            "entity": entity,
            **({"comment": begun.purpose[:LONGEST]} if begun.purpose else {}),
        }
    found = {
        "uid": begun.uid,
        "title": f"Classes of sensitive data in {table['name']}",
        "created_time": _milliseconds(begun.time),
    }
    return {"status_id": 1, "status": "New", **detail, **source, "finding_info": found, "table": table}


def _user(who: Principal) -> dict[str, Any]:
    kinds = {"sts": "AWS", "databricks": "Databricks", "os": "operating system"}
    groups = [{"name": group} for group in who.groups]
    return {"name": who.name, "uid": who.name, "type_id": 99, "type": kinds.get(who.kind, who.kind), "groups": groups}


def _milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)


def interrupted(begun: Begun) -> dict[str, Any]:
    """Return the event of a call whose process ended before its outcome was recorded."""
    reason = "the process ended before the verb did; what it committed is in the table's history"
    return event(begun, Outcome("interrupted", reason, "interrupted"))


def line(fields: Mapping[str, Any]) -> str:
    """Return an event as one line of JSON, with keys in order."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str)
