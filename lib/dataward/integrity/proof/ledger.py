"""Check the ledger: its signed checkpoint, the entries under it, and heads from other places."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from dataward.contract.places import identity
from dataward.errors import ProofError
from dataward.integrity.dsse import Envelope
from dataward.integrity.findings import Finding, fail, note
from dataward.integrity.log import merkle
from dataward.integrity.log.check import Flaw, check
from dataward.integrity.log.entries import Body, KeyringRules, digest
from dataward.integrity.log.log import STATEMENTS, Head, Log, verified_head
from dataward.integrity.log.notes import Checkpoint, Note, signers
from dataward.integrity.log.tiles import WIDTH
from dataward.integrity.proof.trust import Trust
from dataward.integrity.statement import Statement

__all__ = ["Ledger", "check_all", "check_entries", "check_heads", "check_statements", "open_ledger"]

CODES = {
    "other-log": "ledger-forked",
    "entry-forged": "entry-damaged",
    "entry-order": "entry-removed",
    "statement-missing": "statement-missing",
    "statement-changed": "statement-changed",
    "manifest-missing": "manifest-missing",
    "manifest-changed": "manifest-changed",
    "log-cut": "ledger-tail-cut",
    "log-forked": "ledger-forked",
    "root-differs": "ledger-forked",
}
"""Codes of flaws of a log; all others are damage."""


@dataclass(frozen=True)
class Ledger:
    """A log, the keys that verify it, and its verified head."""

    log: Log
    rules: KeyringRules
    head: Head


def open_ledger(log: Log, trust: Trust) -> tuple[Ledger, list[Finding]]:
    """Verify the signed checkpoint against the tiles; returns the ledger and the findings."""
    rules = KeyringRules(log, log.origin() or "", trust)
    try:
        head = verified_head(log, rules)
    except ProofError as error:
        return Ledger(log, rules, Head(0, merkle.EMPTY)), [fail("ledger-damaged", str(log), str(error))]
    return Ledger(log, rules, head), []


def check_entries(ledger: Ledger, entries: Sequence[tuple[int, Body]], first: int | None = None) -> Iterator[Finding]:
    """Yield a finding for each entry that is not signed, or that the checkpoint does not prove.

    Args:
        ledger: the ledger with its verified head.
        entries: the entries of a table.
        first: also prove the entries of other tables from this one on, so that none was exchanged for one of the table.
    """
    bundles = set() if first is None else set(range(first // WIDTH, -(-ledger.head.size // WIDTH)))
    for index, body in entries:
        place = f"ledger entry {index}"
        if trouble := body.signed_by(ledger.rules.keys, ledger.rules.origin, index):
            yield fail("entry-damaged", place, trouble)
        if index >= ledger.head.size:
            yield note("ledger-uncovered", place)
        else:
            bundles.add(index // WIDTH)
    for number in sorted(bundles):
        yield from _bundle(ledger, number)


def _bundle(ledger: Ledger, number: int) -> Iterator[Finding]:
    """Yield a finding for each entry of a bundle that the checkpoint does not prove."""
    start, end, size = number * WIDTH, min((number + 1) * WIDTH, ledger.head.size), ledger.head.size
    place = f"ledger entries {start} to {end - 1}"
    try:
        leaves = [merkle.leaf_hash(entry) for entry in ledger.log.bundle(end)]
        hashes = ledger.log.leaves(number, size)
        path = ledger.log.inclusion_proof(start, size)  # it follows from all hashes of the tile
        proved = merkle.holds_inclusion(start, size, hashes[0], path, ledger.head.root)
    except ProofError as error:
        yield fail("ledger-damaged", place, str(error))
        return
    if not proved:
        yield fail("ledger-damaged", place, "their hashes do not lead to the root that the checkpoint signs")
    for index, (found, proved_one) in enumerate(zip(leaves, hashes, strict=True), start):
        if found != proved_one:
            words = "its bytes do not lead to the root that the checkpoint signs"
            yield fail("entry-damaged", f"ledger entry {index}", words)


def check_heads(ledger: Ledger, heads: Iterable[Note]) -> Iterator[Finding]:
    """Yield a finding for each head from another place that the ledger does not extend."""
    for kept in heads:
        known = Checkpoint.parsed(kept.text)
        place = f"head of {known.size} entries"
        size, root = ledger.head.size, ledger.head.root
        if known.origin != ledger.rules.origin:
            yield fail("ledger-forked", place, f"it is of log '{known.origin}', this is '{ledger.rules.origin}'")
        elif not signers(kept, ledger.rules.known(kept)):
            yield fail("head-unsigned", place)
        elif known.size > size:
            yield fail("ledger-tail-cut", place, f"the ledger's checkpoint covers {size} entries")
        elif not _continues(ledger.log, known, size, root):
            yield fail("ledger-forked", place)


def _continues(log: Log, known: Checkpoint, size: int, root: bytes) -> bool:
    if known.size in (0, size):
        return known.size == 0 or known.root == root
    try:
        return merkle.holds_consistency(known.size, size, log.consistency_proof(known.size, size), known.root, root)
    except ProofError:
        return False


def check_all(ledger: Ledger, erased: Callable[[int], bool], heads: Iterable[Note]) -> list[Finding]:
    """Check every entry, statement and tile."""
    checked = check(ledger.log, ledger.rules, erased, heads)
    return [_finding(ledger.log, flaw) for flaw in checked.flaws]


def check_statements(ledger: Ledger, trust: Trust) -> Iterator[Finding]:
    """Yield a finding for each signed statement beside the ledger that no entry names.

    It is a note where the run has an entry of this kind and table: an attempt was killed between its statement and its entry.
    """
    log, named, entered = ledger.log, set[str | None](), set[tuple[str, str, str]]()
    names = log.store.names(STATEMENTS)
    try:
        entries = log.entries(0, log.size())
    except ProofError:  # the check of every entry reports it, and the next one
        return
    for entry in entries:
        with suppress(ValueError):
            body = Body.parsed(entry)
            named |= {body.statement, body.manifest}
            entered.add((body.kind, body.run, body.target))
    for name in names:
        sha256 = name.rpartition("/")[2]
        found = None if sha256 in named else _signed(log.statement(sha256), trust)
        if found is None:
            continue
        told = f"kind {found['kind']}, run {found['run_id']}, version {found.get('version')}"
        again = (found["kind"], digest(found["run_id"]), digest(identity(found["target"]))) in entered
        yield (note if again else fail)("statement-without-entry", name, told)


def _signed(data: bytes | None, trust: Trust) -> dict[str, Any] | None:
    """Return the record of a signed statement; None for other documents."""
    try:
        envelope = Envelope.parse(data or b"")
        found = Statement.parse(envelope).predicate
    except ValueError:
        return None
    texts = all(isinstance(found.get(name), str) for name in ("kind", "run_id", "target"))
    return found if texts and envelope.signed_by(trust.keys) else None


def _finding(log: Log, flaw: Flaw) -> Finding:
    place = f"ledger entry {flaw.entry}" if flaw.entry is not None else str(log)
    return fail(CODES.get(flaw.kind, "ledger-damaged"), place, flaw.message)
