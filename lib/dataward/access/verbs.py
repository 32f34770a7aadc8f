"""The verbs of policies, the resource of each, and the class of its event.

A verb of the CLI or API that touches data is one entry here; the Cedar schema is generated from this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["ENTITY", "FINDING", "GROUPS", "SEEING", "VERBS", "Verb", "verb"]

Group = Literal["look", "operate", "manage", "see", "open"]

GROUPS: dict[Group, str] = {
    "look": "read results, proofs and what may be seen of rows",
    "operate": "write tables, and use data for releases and training",
    "manage": "keys, erasure, audit settings, changes of contracts",
    "see": "levels of columns that keep originals closed",
    "open": "originals of protected values",
}
"""Action groups of the Cedar schema. All except ``open`` are in the group ``ordinary``; all are in ``any``."""


@dataclass(frozen=True)
class Verb:
    """One verb.

    Attributes:
        name: action ID in policies.
        group: action group.
        on: resource type: ``Table``, or ``Column`` with a decision per column.
        activity: activity ID of the OCSF class of its events.
        class_uid: OCSF class of its events.
        writes: whether it changes the table's files.
    """

    name: str
    group: Group
    on: Literal["Table", "Column"] = "Table"
    activity: int = 1
    class_uid: int = 6005
    writes: bool = False


READ, UPDATE, QUERY, WRITE, CREATE, DELETE, LIST, ENCRYPT, DECRYPT = 1, 2, 4, 5, 6, 7, 8, 9, 10
DATASTORE, ENTITY, FINDING = 6005, 3004, 2006

_ALL = (
    Verb("read", "look"),
    Verb("verify", "look"),
    Verb("history", "look", activity=LIST),
    Verb("diff", "look", activity=QUERY),
    Verb("explain", "look", activity=LIST),
    Verb("profile", "look", activity=QUERY),
    Verb("suggest", "look", activity=QUERY),
    Verb("discover", "look", activity=1, class_uid=FINDING),
    Verb("quarantine_show", "look"),
    Verb("audit", "look", activity=QUERY),
    Verb("ledger_show", "look", activity=LIST),
    Verb("lineage", "look", activity=LIST),
    Verb("preflight", "look", activity=LIST),
    Verb("budget_show", "look", activity=LIST),
    Verb("dashboard", "look", activity=LIST),
    Verb("publish", "operate", activity=WRITE, writes=True),
    Verb("anonymize", "operate", activity=WRITE, writes=True),
    Verb("quarantine_release", "operate", activity=WRITE, writes=True),
    Verb("quarantine_discard", "operate", activity=DELETE, writes=True),
    Verb("protect", "operate", activity=ENCRYPT),
    Verb("release", "operate", activity=QUERY),
    Verb("train", "operate"),
    Verb("intersect", "operate", activity=QUERY),
    Verb("survey", "operate", activity=QUERY),
    Verb("budget_charge", "operate", activity=UPDATE),
    Verb("monitor", "operate"),
    Verb("mlflow", "operate"),
    Verb("audit_flush", "operate", activity=UPDATE),
    Verb("audit_seal", "operate", activity=UPDATE),
    Verb("history_mark", "operate", activity=UPDATE),
    Verb("ledger_publish", "operate", activity=UPDATE),
    Verb("ledger_cloudtrail", "operate", activity=UPDATE),
    Verb("score", "operate", activity=WRITE, writes=True),
    Verb("restore", "manage", activity=UPDATE, writes=True),
    Verb("vacuum", "manage", activity=DELETE, writes=True),
    Verb("reconcile", "manage", activity=UPDATE),
    Verb("rotate", "manage", activity=UPDATE, writes=True),
    Verb("erase", "manage", activity=DELETE, writes=True),
    Verb("change_contract", "manage", activity=3, class_uid=ENTITY),
    Verb("keys_create", "manage", activity=1, class_uid=ENTITY),
    Verb("keys_list", "manage", activity=2, class_uid=ENTITY),
    Verb("keys_verify", "manage", activity=2, class_uid=ENTITY),
    Verb("keys_disable", "manage", activity=3, class_uid=ENTITY),
    Verb("keys_enable", "manage", activity=3, class_uid=ENTITY),
    Verb("keys_migrate", "manage", activity=3, class_uid=ENTITY),
    Verb("budget_set", "manage", activity=UPDATE),
    Verb("budget_reserve", "manage", activity=UPDATE),
    Verb("ledger_repair", "manage", activity=UPDATE),
    Verb("ledger_migrate", "manage", activity=UPDATE),
    Verb("approve", "manage", on="Column", activity=3, class_uid=ENTITY),
    Verb("read_token", "see", on="Column"),
    Verb("read_masked", "see", on="Column"),
    Verb("read_clear", "open", on="Column", activity=DECRYPT),
    Verb("reidentify", "open", on="Column", activity=DECRYPT),
)

VERBS = {verb.name: verb for verb in _ALL}

SEEING = {"clear": "read_clear", "token": "read_token", "masked": "read_masked"}
"""The action that permits each level of a column."""


def verb(name: str) -> Verb:
    """Return a verb by its name; an unknown one is a bug in Dataward.

    Raises:
        KeyError: the table has no such verb.
    """
    if name not in VERBS:
        raise KeyError(f"verb '{name}' is not in dataward.access.verbs: add its line there")
    return VERBS[name]
