"""Read the entries of a table's seals. Pointers only say where to begin: entries are taken from the bundles, so that none can be hidden."""

from __future__ import annotations

from contextlib import suppress

from dataward.integrity.log import entries as pointers
from dataward.integrity.log.entries import Body
from dataward.integrity.log.log import Log

__all__ = ["first_needed", "table_entries"]

MARGIN = 16
"""Entries that are read before that of a whole manifest: concurrent runs are sealed in any order."""


def first_needed(log: Log, target: str, version: int | None, every: bool) -> int:
    """Return the number of the entry with which the proof of a version begins: some before the last whole manifest up to it.

    Args:
        log: the ledger's log.
        target: digest of the table's location.
        version: the version; None: the newest.
        every: all versions, from entry 0 on.

    Raises:
        ProofError: a bundle is missing or damaged.
    """
    if every:
        return 0
    left, first = MARGIN, log.size()
    for index, body in pointers.chain_of(log, "seal", target):
        first = min(first, index)
        reached = version is None or (body.version is not None and body.version <= version)
        if left < MARGIN or (reached and body.about.get("whole")):
            left -= 1
            if not left:
                break
    return first


def table_entries(log: Log, target: str, first: int) -> list[tuple[int, Body]]:
    """Return the entries of a table's seals from an entry on, oldest first.

    Raises:
        ProofError: a bundle is missing or damaged.
    """
    found: list[tuple[int, Body]] = []
    named = target.encode()
    for index, entry in enumerate(log.entries(first, log.size()), first):
        if named in entry:
            with suppress(ValueError):  # the check of the bundles reports it
                body = Body.parsed(entry)
                if (body.kind, body.target) == ("seal", target):
                    found.append((index, body))
    return found
