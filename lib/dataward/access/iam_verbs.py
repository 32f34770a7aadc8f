"""Accesses of each verb to the places of a contract, for :mod:`dataward.access.iam`; a verb with a policy is one entry here."""

from __future__ import annotations

from dataclasses import dataclass

from dataward.errors import UsageError, did_you_mean

__all__ = ["VERBS", "Work", "work_of"]


@dataclass(frozen=True)
class Work:
    """Accesses of a verb: ``reads``, ``writes`` and ``deletes`` name kinds of places, ``kms`` actions on the keyring's key.

    A kind is ``source``, ``references``, ``joins``, ``vaults``, a key of ``Contract.tables`` or ``tables`` (all of these).

    Attributes:
        absent: tables to read may be absent, so that parent folders are searched.
        creates: the verb may create tables to write, with their folders.
        report: ``write``, ``search`` (write, and read those of all runs), or empty.
        keyring: ``read``, ``write``, or empty where the verb uses no key.
        stat: whether the folders to read are checked themselves, as paths that may be files.
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
    creates: bool = False
    stat: bool = False
    settings: bool = False
    columns: bool = True


ROWS = ("target", "quarantine", "changes", "vaults", "ledger")
READS = ("source", "references", "joins", "erased subjects")
VERBS: dict[str, Work] = {
    "publish": Work(
        reads=READS, writes=(*ROWS, "history", "states", "windows"), report="write", absent=True, creates=True
    ),
    "verify": Work(reads=("target", "quarantine", "changes", "history", "ledger"), columns=False),
    "history": Work(reads=("target", "ledger", "history", "windows"), kms=(), keyring=""),
    "profile": Work(reads=("source",), kms=(), keyring="", stat=True),
    "anonymize": Work(reads=("target",), kms=(), keyring=""),
    "quarantine-list": Work(reads=("quarantine", "ledger"), kms=(), keyring=""),
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
    "erase": Work(writes=("tables",), deletes=("tables",), report="search", absent=True, creates=True),
    "preflight": Work(kms=(), keyring="", settings=True),
    "ledger-show": Work(reads=("ledger",), kms=(), keyring=""),
    "ledger-check": Work(reads=("ledger", "heads"), columns=False),
    "ledger-publish": Work(reads=("ledger",), writes=("heads",), kms=(), keyring=""),
    "keys-create": Work(kms=("GenerateDataKey",), keyring="write"),
    "keys-verify": Work(),
}


def work_of(verb: str) -> Work:
    """Return the accesses of a verb.

    Raises:
        UsageError: the verb does not exist; the message lists all verbs.
    """
    if verb not in VERBS:
        raise UsageError(f"no policy for verb '{verb}': {did_you_mean(verb, VERBS) or 'there are ' + ', '.join(VERBS)}")
    return VERBS[verb]
