"""A transparency log in a folder of immutable files (C2SP tlog-tiles).

The commit point is the creation of the next entry bundle: every size of the log has one name, and only one of several
writers creates it. Tiles, pointers and the signed checkpoint are derived: every writer completes those of a killed
writer before it appends its own entry. A checkpoint is signed only if it extends the previous one and
:class:`Rules` accept its entries.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from dataward.errors import ProofError, TargetError
from dataward.integrity.findings import fail
from dataward.integrity.log import merkle
from dataward.integrity.log.notes import Checkpoint, Note, Signer, Verifier, parse, signers
from dataward.integrity.log.proofs import InclusionProof
from dataward.integrity.log.tiles import WIDTH, Tiles, bundle_path, extended, framed, path, unpacked
from dataward.tables.store import Store

__all__ = ["Head", "Log", "Rules", "append", "complete", "verified_head"]

ORIGIN, CHECKPOINT, STATEMENTS = "origin", "checkpoint", "statements"
PATIENCE = 300.0
"""Seconds that a writer waits for its turn."""


@dataclass(frozen=True)
class Head:
    """Size and root of a log; ``note``: its signed checkpoint, None where there is none yet."""

    size: int
    root: bytes
    note: Note | None = None


class Rules(Protocol):
    """A writer's conditions on entries of other writers, and derived files of each entry."""

    def known(self, note: Note) -> list[Verifier]:
        """Return the keys that may have signed a checkpoint."""
        ...

    def accept(self, index: int, entry: bytes) -> None:
        """Raise ProofError where an entry is not genuine."""
        ...

    def derive(self, index: int, entry: bytes) -> None:
        """Write the pointers to an entry."""
        ...


class Log:
    """A log to read. Its files are not trusted: see :func:`verified_head`."""

    def __init__(self, store: Store) -> None:
        """Set the folder; nothing is read."""
        self.store = store
        self._immutable: dict[str, bytes] = {}

    def __str__(self) -> str:
        """Return the place of the log."""
        return str(self.store)

    def origin(self) -> str | None:
        """Return the log's name, which distinguishes its checkpoints from those of other logs; None where there is no log."""
        data = self.fixed(ORIGIN)
        text = data.decode("utf-8", "replace").strip() if data is not None else None
        if text is not None and (not text or "\n" in text or len(text) > 200):
            words = f"{self}/{ORIGIN}: the file was changed. Restore it: its text is a checkpoint's first line"
            raise ProofError(words, [fail("ledger-damaged", f"{self}/{ORIGIN}", words)])
        return text

    def checkpoint(self) -> Note | None:
        """Return the newest signed checkpoint; None where there is none.

        Raises:
            ProofError: the file is not a checkpoint.
        """
        data = self.store.read(CHECKPOINT)
        if data is None:
            return None
        try:
            note = parse(data)
            Checkpoint.parsed(note.text)
        except ValueError as error:
            raise ProofError(f"{self}/{CHECKPOINT}: {error}. Repair with: dataward ledger repair") from None
        return note

    def size(self) -> int:
        """Return the number of committed entries, including those without a checkpoint."""
        note = None
        with suppress(ProofError):
            note = self.checkpoint()
        return self.grown(Checkpoint.parsed(note.text).size if note else self._full_bundles() * WIDTH)

    def grown(self, size: int) -> int:
        """Return the number of committed entries, of which at least ``size`` are known to exist."""
        while True:
            if self.store.exists(path("entries", size // WIDTH)):
                size = (size // WIDTH + 1) * WIDTH
            elif (size + 1) % WIDTH and self.store.exists(bundle_path(size + 1)):
                size += 1
            else:
                return size

    def _full_bundles(self) -> int:
        """Count the full bundles in O(log n) requests."""
        high = 1
        while self.store.exists(path("entries", high - 1)):
            high *= 2
        low = high // 2
        while low + 1 < high:
            middle = (low + high) // 2
            low, high = (middle, high) if self.store.exists(path("entries", middle - 1)) else (low, middle)
        return low

    def entries(self, start: int, end: int) -> list[bytes]:
        """Return the entries from ``start`` up to, but not including, ``end``.

        Raises:
            ProofError: a bundle is missing or damaged.
        """
        found: list[bytes] = []
        for index in range(start // WIDTH, -(-end // WIDTH)):
            first = index * WIDTH
            held = self.bundle(min(end, first + WIDTH))
            found += held[max(start - first, 0) :]
        return found

    def bundle(self, size: int) -> list[bytes]:
        """Return the entries of the last bundle of a log of ``size`` entries."""
        width = (size - 1) % WIDTH + 1
        name, whole = bundle_path(size), path("entries", (size - 1) // WIDTH)
        data = self.store.read(name)
        if data is None and name != whole:
            data = self.store.read(whole)
        if data is None and bundle_path(all_of_them := self.size()) != name:
            data = self.store.read(bundle_path(all_of_them))
            data = None if (all_of_them - 1) // WIDTH != (size - 1) // WIDTH else data
        if data is None:
            raise ProofError(f"{self}/{name}: the bundle of entries is missing. Restore it from your backup")
        try:
            held = unpacked(data)
        except ValueError as error:
            raise ProofError(f"{self}/{name}: {error}. Restore it from your backup") from None
        if len(held) < width:
            raise ProofError(
                f"{self}/{name}: it holds {len(held)} entries where {width} belong. Restore it from your backup"
            )
        return held[:width]

    def entry(self, index: int) -> bytes:
        """Return one entry; its bundle may have any sufficient width.

        Raises:
            ProofError: the entry is missing.
        """
        with suppress(ProofError):
            return self.bundle(index + 1)[-1]
        raise ProofError(f"{self}: entry {index} is missing. Restore {bundle_path(index + 1)} from your backup")

    def root(self, size: int) -> bytes:
        """Return the root hash over the first ``size`` entries, from the tiles."""
        return merkle.root(self._tiles(size).node, size)

    def leaves(self, bundle: int, size: int) -> list[bytes]:
        """Return the hashes of a bundle's entries in a log of ``size`` entries, from the tiles."""
        return self._tiles(size).tile(0, bundle)

    def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        """Return the hashes from an entry to the root of ``size`` entries (RFC 6962, section 2.1.1)."""
        return merkle.inclusion(self._tiles(size).node, index, size)

    def consistency_proof(self, old: int, new: int) -> list[bytes]:
        """Return the hashes that prove that the first ``old`` entries are the first of ``new`` (RFC 6962, section 2.1.2)."""
        return merkle.consistency(self._tiles(new).node, old, new)

    def proof(self, index: int) -> InclusionProof:
        """Return the offline proof of an entry under the newest checkpoint.

        Raises:
            ProofError: no checkpoint covers it.
        """
        note = self.checkpoint()
        size = Checkpoint.parsed(note.text).size if note else 0
        if note is None or not 0 <= index < size:
            raise ProofError(f"{self}: the checkpoint covers {size} entries, so there is no proof of entry {index}")
        return InclusionProof(index, tuple(self.inclusion_proof(index, size)), note)

    def statement(self, sha256: str) -> bytes | None:
        """Return a stored document by its SHA-256 (hex); None where it is missing or has another hash."""
        data = self.store.read(f"{STATEMENTS}/{sha256}")
        return data if data is not None and hashlib.sha256(data).hexdigest() == sha256 else None

    def keep(self, data: bytes) -> str:
        """Store a document under its SHA-256, and return the hash."""
        sha256 = hashlib.sha256(data).hexdigest()
        self.store.create(f"{STATEMENTS}/{sha256}", data)
        return sha256

    def fixed(self, name: str) -> bytes | None:
        """Return the content of an immutable file, which is read once."""
        if name not in self._immutable:
            data = self.store.read(name)
            if data is None:
                return None
            self._immutable[name] = data
        return self._immutable[name]

    def remember(self, name: str, data: bytes) -> None:
        """Cache an immutable file that was just written."""
        self._immutable[name] = data

    def _tiles(self, size: int) -> Tiles:
        return Tiles(self.fixed, size, self._covered)

    def _covered(self) -> int:
        note = self.checkpoint()
        return Checkpoint.parsed(note.text).size if note else 0


def verified_head(log: Log, rules: Rules) -> Head:
    """Return the verified head of the signed checkpoint.

    Raises:
        ProofError: the checkpoint is of another log, not signed by a known key, or differs from the root of the tiles.
    """
    note = log.checkpoint()
    if note is None:
        return Head(0, merkle.EMPTY)
    head = Checkpoint.parsed(note.text)
    if head.origin != log.origin():
        raise ProofError(f"{log}/{CHECKPOINT}: it is the checkpoint of another log ('{head.origin}')")
    if not signers(note, rules.known(note)):
        raise ProofError(
            f"{log}/{CHECKPOINT}: it is not signed by a key of this keyring: use the one that sealed the table"
        )
    if log.root(head.size) != head.root:
        raise ProofError(
            f"{log}: the tiles do not have the root that the checkpoint signs: they or the checkpoint were changed. "
            "See: dataward ledger check"
        )
    return Head(head.size, head.root, note)


def complete(log: Log, rules: Rules, signer: Signer, known: int = 0) -> Head:
    """Derive tiles, pointers and checkpoint of entries without a checkpoint, and return the new head.

    ``known``: number of entries that are known to exist.

    Raises:
        ProofError: the log does not verify; then nothing is signed.
    """
    while True:
        head = verified_head(log, rules)
        size = log.grown(max(head.size, known))
        if size == head.size:
            return head
        if head.note is None and size > WIDTH:
            raise ProofError(f"{log}/{CHECKPOINT}: it is missing. See: dataward ledger check")
        entries = log.entries(head.size, size)
        for index, entry in enumerate(entries, head.size):
            rules.accept(index, entry)
        _cover(log, signer, head, entries)
        for index, entry in enumerate(entries, head.size):
            rules.derive(index, entry)
        signed = _publish(log, signer, size)
        _tidy(log, head.size, size)
        if signed is not None and log.grown(size) == size:  # else this checkpoint may have replaced a larger one
            return signed


def _cover(log: Log, signer: Signer, head: Head, entries: list[bytes]) -> None:
    """Write the tiles of further entries. Existing files are equal, or the comparison of the root fails."""
    tiles = Tiles(log.fixed, head.size)
    for name, data in extended(tiles, [merkle.leaf_hash(entry) for entry in entries]):
        if not log.store.create(name, data) and log.store.read(name) not in (data, None):
            raise ProofError(f"{log}/{name}: the tile was changed. Repair with: dataward ledger repair")
        log.remember(name, data)


def _publish(log: Log, signer: Signer, size: int) -> Head | None:
    """Sign and write a checkpoint; None where one of the same size or larger was written meanwhile."""
    with suppress(ProofError):
        note = log.checkpoint()
        if note is not None and Checkpoint.parsed(note.text).size >= size:
            return None
    head = Checkpoint(signer.name, size, log.root(size))
    note = signer.sign(head.text)
    log.store.put(CHECKPOINT, str(note).encode())
    return Head(size, head.root, note)


def _tidy(log: Log, old: int, new: int) -> None:
    """Remove partial files of full bundles and tiles; failures do no harm."""
    level = 0
    with suppress(TargetError):
        while (full := range(old // WIDTH, new // WIDTH)) and len(full):
            for index in full:
                folders = [path(level, index)] + ([path("entries", index)] if level == 0 else [])
                log.store.delete(name for folder in folders for name in log.store.names(f"{folder}.p"))
            level, old, new = level + 1, old // WIDTH, new // WIDTH


def append(log: Log, rules: Rules, signer: Signer, make: Callable[[Head], bytes | None]) -> int | None:
    """Append one entry; returns its index.

    ``make`` gets the head before the entry, and is called again in every turn; None ends the attempt without an entry.

    Raises:
        TargetError: the log cannot be written.
        ProofError: the present log does not verify.
    """
    begun, turn = time.monotonic(), 0
    while True:
        head = complete(log, rules, signer)
        entry = make(head)
        if entry is None:
            return None
        if _committed(log, head.size, entry):
            complete(log, rules, signer, head.size + 1)
            return head.size
        turn += 1
        if time.monotonic() - begun > PATIENCE:
            raise TargetError(f"{log}: another writer was always faster, {turn} times. Run it again")
        time.sleep(random.uniform(0, min(0.02 * turn, 0.5)))


def _committed(log: Log, size: int, entry: bytes) -> bool:
    """Create the bundle that has one more entry; False where another writer did."""
    name, width = bundle_path(size + 1), size % WIDTH
    bundle = b"".join(framed(one) for one in (log.bundle(size) if width else [])) + framed(entry)
    if not log.store.create(name, bundle):
        return log.store.read(name) == bundle  # a request that was sent twice, and succeeded the first time
    whole = path("entries", size // WIDTH)
    if name == whole or not log.store.exists(whole):
        return True
    # This bundle was filled and its partial files removed since the size was read: nobody reads the new file.
    if unpacked(log.store.read(whole) or b"")[width : width + 1] == [entry]:
        return True
    with suppress(TargetError):  # a publisher may have no right to delete, and the file does no harm
        log.store.delete([name])
    return False


def tail(log: Log) -> Iterable[tuple[int, bytes]]:
    """Yield index and content of entries without a checkpoint."""
    note = None
    with suppress(ProofError):
        note = log.checkpoint()
    covered = Checkpoint.parsed(note.text).size if note else 0
    size = log.grown(covered) if note else log.size()
    yield from enumerate(log.entries(covered, size), covered) if covered < size else ()
