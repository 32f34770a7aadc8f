"""Accesses of each verb to the places of a contract, for :mod:`dataward.access.iam`; a verb with a policy is one entry here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dataward.errors import UsageError, did_you_mean

__all__ = ["QUERIES", "SITES", "VERBS", "Work", "work_of"]


@dataclass(frozen=True)
class Work:
    """Accesses of a verb: ``reads``, ``writes`` and ``deletes`` name kinds of places, ``kms`` actions on the keyring's key.

    A kind is ``source``, ``references``, ``joins``, ``vaults``, a key of ``Contract.tables``, ``tables`` (all of these), ``states of any
    mode`` (which an earlier contract may have left), ``folder`` or ``checkpoint``: the one that the command line names (``--out``,
    ``--to``, a stream's checkpoint); or one of a release's ``budgets``, ``draws`` and ``asked ledger`` (of the table that it asks).

    Attributes:
        absent: all tables may be absent, so that parent folders are searched.
        sought: kinds that may be absent, where not all may.
        creates: kinds of tables that the verb may create, with their folders.
        report: ``write``, ``search`` (write, and read those of all runs), or empty.
        keyring: ``read``, ``write``, or empty where the verb uses no key.
        stat: kinds whose folders are checked themselves, as paths that may be files.
        settings: the settings of all buckets are read, and one listing is tried over plain HTTP.
        columns: whether keys of columns are used besides the key of the contract's own domain, which seals.
    """

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    deletes: tuple[str, ...] = ()
    kms: tuple[str, ...] = ("Decrypt",)
    keyring: str = "read"
    report: str = ""
    absent: bool = False
    sought: tuple[str, ...] = ()
    creates: tuple[str, ...] = ()
    stat: tuple[str, ...] = ()
    settings: bool = False
    columns: bool = True


ROWS = ("target", "quarantine", "changes", "vaults", "ledger")
CREATED = ("target", "quarantine", "changes", "vaults", "history", "states", "windows")
READS = ("source", "references", "joins", "erased subjects")
PROVED = ("target", "quarantine", "changes", "history", "ledger")


def _keyless(*reads: str, **more: Any) -> Work:
    """Return the accesses of a verb that only reads, and uses no key."""
    return Work(reads=reads, kms=(), keyring="", **more)


RELEASE = Work(
    reads=("source", "asked ledger"),
    writes=("target", "ledger", "budgets", "draws"),
    sought=("target", "ledger", "budgets", "draws"),
    creates=("target", "budgets", "draws"),
    columns=False,
)
QUERIES = ("release", "synthesize", "budget-show", "budget-set", "budget-reserve")
"""Verbs whose places a query names, not a contract."""

SITES = ("site-serve", "intersect")
"""Verbs whose places a site's file may name: its contract and its budget."""

VERBS: dict[str, Work] = {
    "publish": Work(reads=READS, writes=(*CREATED, "ledger"), report="write", absent=True, creates=CREATED),
    "publish-stream": Work(
        reads=READS,
        writes=(*CREATED, "ledger", "checkpoint"),
        deletes=("checkpoint",),
        report="write",
        absent=True,
        creates=(*CREATED, "checkpoint"),
    ),
    "publish-explain": Work(reads=("source", "references", "joins", "target")),
    "verify": Work(reads=PROVED, columns=False),
    "history": _keyless("target", "ledger", "history", "windows"),
    "history-mark": Work(writes=("history",), kms=(), keyring=""),
    "diff": _keyless("target"),
    "restore": Work(reads=("quarantine", "changes", "history"), writes=("target", "ledger"), columns=False),
    "reconcile": Work(reads=("target", "quarantine", "changes", "history"), writes=("ledger",), columns=False),
    "vacuum": Work(
        reads=("target", "quarantine", "changes"),
        writes=("target", "quarantine", "changes", "ledger"),
        deletes=("target", "quarantine", "changes"),
        columns=False,
        stat=("target", "quarantine", "changes"),
    ),
    "lineage": _keyless("ledger"),
    "read": Work(reads=("target", "quarantine", "changes", "history", "vaults"), writes=("ledger",)),
    "profile": _keyless("source", stat=("source",)),
    "suggest": _keyless("source", stat=("source",)),
    "discover": _keyless("source", stat=("source",)),
    "anonymize": Work(
        reads=("target",), writes=("folder",), kms=(), keyring="", sought=("folder",), creates=("folder",)
    ),
    "score": Work(reads=PROVED, writes=("folder",), columns=False),
    "mlflow": Work(reads=PROVED, columns=False),
    "site-serve": Work(reads=PROVED, writes=("budgets",), columns=False),
    "intersect": Work(reads=PROVED, columns=False),
    "access-views": _keyless("target"),
    "quarantine-list": _keyless("quarantine", "ledger"),
    "quarantine-show": _keyless("quarantine"),
    "quarantine-release": Work(reads=(*READS, "history"), writes=ROWS, report="write", absent=True),
    "quarantine-discard": Work(writes=("quarantine", "ledger"), columns=False),
    "reidentify": Work(reads=("target", "vaults"), writes=("ledger",)),
    "rotate": Work(
        reads=("source", "erased subjects", "history"),
        writes=ROWS,
        kms=("Decrypt", "GenerateDataKey"),
        keyring="write",
        absent=True,
    ),
    "erase": Work(
        reads=("source",),
        writes=("tables", "states of any mode"),
        deletes=("tables", "states of any mode"),
        report="search",
        absent=True,
        creates=("erased subjects",),
        stat=("tables",),
    ),
    "release": RELEASE,
    "synthesize": RELEASE,
    "budget-show": _keyless("budgets"),
    "budget-set": Work(writes=("budgets",), kms=(), keyring="", sought=("budgets",), creates=("budgets",)),
    "budget-reserve": Work(writes=("budgets",), kms=(), keyring=""),
    "preflight": Work(kms=(), keyring="", settings=True),
    "ledger-show": _keyless("ledger"),
    "ledger-head": Work(reads=("ledger",), columns=False),
    "ledger-prove": Work(reads=("ledger",), columns=False),
    "ledger-check": Work(reads=("ledger", "heads"), columns=False),
    "ledger-repair": Work(reads=("heads",), writes=("ledger",), columns=False),
    "ledger-publish": Work(reads=("ledger",), writes=("heads",), kms=(), keyring=""),
    "ledger-cloudtrail": Work(reads=("ledger",), writes=("folder",), kms=(), keyring=""),
    "audit-query": _keyless(),
    "audit-flush": _keyless(),
    "audit-correlate": _keyless(),
    "audit-seal": Work(writes=("ledger",), columns=False),
    "audit-check": Work(reads=("ledger",), columns=False),
    "keys-create": Work(kms=("GenerateDataKey",), keyring="write"),
    "keys-list": Work(kms=()),
    "keys-verify": Work(),
    "keys-public": Work(),
    "keys-disable": Work(kms=(), keyring="write"),
    "keys-enable": Work(kms=(), keyring="write"),
}


def work_of(verb: str) -> Work:
    """Return the accesses of a verb.

    Raises:
        UsageError: the verb does not exist; the message lists all verbs.
    """
    if verb not in VERBS:
        raise UsageError(f"no policy for verb '{verb}': {did_you_mean(verb, VERBS) or 'there are ' + ', '.join(VERBS)}")
    return VERBS[verb]
