"""Rebuild derived files (tiles, pointers, the checkpoint), and remove entries without signature and checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from dataward.errors import ProofError
from dataward.integrity.log import merkle
from dataward.integrity.log.check import against
from dataward.integrity.log.entries import KeyringRules, derived
from dataward.integrity.log.log import CHECKPOINT, Head, Log
from dataward.integrity.log.notes import Checkpoint, Note, Signer, signers
from dataward.integrity.log.tiles import Tiles, bundle_path, extended

__all__ = ["Repaired", "repair"]


@dataclass(frozen=True)
class Repaired:
    """Result of a repair: the new head, and the files that were written or removed."""

    head: Head
    written: tuple[str, ...]
    removed: tuple[str, ...]


def repair(log: Log, rules: KeyringRules, signer: Signer, heads: Iterable[Note] = ()) -> Repaired:
    """Rebuild the files derived from the entries. Only a backup restores entries and statements.

    Raises:
        ProofError: entries under a checkpoint or a head were changed or removed; then nothing is written.
    """
    note = _signed(log, rules)
    covered = Checkpoint.parsed(note.text) if note else Checkpoint(rules.origin, 0, merkle.EMPTY)
    entries = log.entries(0, max(log.size(), covered.size))
    genuine = _genuine(rules, entries)
    if genuine < covered.size:
        raise ProofError(
            f"ledger {log}: entry {genuine}, which a checkpoint covers, was changed. Restore it from your backup"
        )
    leaves = [merkle.leaf_hash(entry) for entry in entries[:genuine]]
    if merkle.root_of(leaves[: covered.size]) != covered.root:
        raise ProofError(
            f"ledger {log}: its entries do not have the root that the checkpoint signs. Restore them from your backup"
        )
    if flaws := against(log, rules, leaves, heads):
        raise ProofError(f"{flaws[0].message}. Restore the folder from your backup")
    removed = _forged(log, genuine, len(entries))
    log.store.delete(removed)
    written = _rewritten(log, entries[:genuine], leaves)
    head = Head(genuine, merkle.root_of(leaves), note)
    if genuine and (note is None or covered.size < genuine):
        note = signer.sign(Checkpoint(rules.origin, genuine, head.root).text)
        log.store.put(CHECKPOINT, str(note).encode())
        head, written = Head(genuine, head.root, note), [*written, CHECKPOINT]
    return Repaired(head, tuple(written), tuple(removed))


def _signed(log: Log, rules: KeyringRules) -> Note | None:
    """Return the checkpoint if a known key signed it for this log; a malformed or forged one counts as missing."""
    with suppress(ProofError):
        note = log.checkpoint()
        if note and Checkpoint.parsed(note.text).origin == rules.origin and signers(note, rules.known(note)):
            return note
    return None


def _genuine(rules: KeyringRules, entries: Sequence[bytes]) -> int:
    """Return the number of genuine entries before the first that is not."""
    for index, entry in enumerate(entries):
        try:
            rules.accept(index, entry)
        except ProofError:
            return index
    return len(entries)


def _forged(log: Log, genuine: int, size: int) -> list[str]:
    """Return the bundles with unsigned entries; they contain no acknowledged entry."""
    sizes = range(genuine + 1, size + 1)
    return [bundle_path(number) for number in sizes if log.store.exists(bundle_path(number))]


def _rewritten(log: Log, entries: Sequence[bytes], leaves: Sequence[bytes]) -> list[str]:
    files = {**dict(extended(Tiles(lambda name: None, 0), leaves)), **derived(entries)}
    wrong = [name for name, data in files.items() if log.store.read(name) != data]
    for name in wrong:
        log.store.put(name, files[name])
    return wrong
