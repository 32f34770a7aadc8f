"""Check a whole log: every entry, statement and tile, the checkpoint, and heads from other places."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from dataward.errors import ProofError
from dataward.integrity.log import merkle
from dataward.integrity.log.entries import Body, KeyringRules
from dataward.integrity.log.log import Head, Log
from dataward.integrity.log.notes import Checkpoint, Note, signers
from dataward.integrity.log.tiles import Tiles, extended

__all__ = ["Checked", "Flaw", "against", "check"]

READERS = 16


@dataclass(frozen=True)
class Flaw:
    """A failed check of a log.

    Attributes:
        kind: checkpoint-missing, checkpoint-malformed, checkpoint-unsigned, other-log, bundle-damaged, entry-forged, entry-order,
            root-differs, tile-differs, statement-missing, statement-changed, manifest-missing, manifest-changed, log-cut, log-forked,
            head-unsigned.
        message: the problem, its place, and a remedy.
        entry: number of the entry, if any.
    """

    kind: str
    message: str
    entry: int | None = None


@dataclass(frozen=True)
class Checked:
    """Result of a check: the checked head, the number of entries without a checkpoint, and the flaws."""

    head: Head
    uncovered: int
    flaws: tuple[Flaw, ...]


def check(
    log: Log, rules: KeyringRules, excused: Callable[[int], bool] = lambda index: False, heads: Iterable[Note] = ()
) -> Checked:
    """Check a whole log; ``excused`` returns whether the statement of an entry was erased with a record of the erasure."""
    note, flaws = _checkpoint(log, rules)
    covered = Checkpoint.parsed(note.text) if note else None
    size = log.size()
    try:
        entries = log.entries(0, size)
    except ProofError as error:
        return Checked(Head(0, merkle.EMPTY, note), 0, (*flaws, Flaw("bundle-damaged", str(error))))
    leaves = [merkle.leaf_hash(entry) for entry in entries]
    flaws += _entries(log, rules, entries, excused)
    head = Head(len(leaves), merkle.root_of(leaves), note)
    if covered and covered.size > len(leaves):
        text = f"the checkpoint covers {covered.size} entries and {len(leaves)} are there: the log was cut"
        flaws.append(Flaw("log-cut", f"ledger {log}: {text}. Restore it from your backup"))
    elif covered:
        head = Head(covered.size, merkle.root_of(leaves[: covered.size]), note)
        if covered.root != head.root:
            flaws.append(
                Flaw(
                    "root-differs",
                    f"ledger {log}: its entries do not have the root that the checkpoint signs: they were changed",
                )
            )
        flaws += _tiles(log, leaves[: covered.size])
    flaws += against(log, rules, leaves, heads)
    return Checked(head, len(leaves) - head.size, tuple(flaws))


def against(log: Log, rules: KeyringRules, leaves: Sequence[bytes], heads: Iterable[Note]) -> list[Flaw]:
    """Compare a log with heads from other places; a head without a signature of a known key proves nothing and is reported."""
    found = []
    for note in heads:
        known = Checkpoint.parsed(note.text)
        if known.origin != rules.origin:
            found.append(Flaw("other-log", f"ledger {log}: this is log '{rules.origin}', and a head is of '{known.origin}': the folder "
                              "of another log was put here, or the head is another ledger's"))  # fmt: skip
        elif not signers(note, rules.known(note)):
            found.append(
                Flaw(
                    "head-unsigned",
                    f"ledger {log}: a head of {known.size} entries is not signed by a key of this keyring",
                )
            )
        elif known.size > len(leaves):
            found.append(Flaw("log-cut", f"ledger {log}: a head kept elsewhere covers {known.size} entries, and {len(leaves)} are here: "
                              "the end of the log was cut off, or the folder was rolled back to an older copy"))  # fmt: skip
        elif merkle.root_of(leaves[: known.size]) != known.root:
            found.append(Flaw("log-forked", f"ledger {log}: its first {known.size} entries are not those of a head kept elsewhere: "
                              "history was rewritten"))  # fmt: skip
    return found


def _checkpoint(log: Log, rules: KeyringRules) -> tuple[Note | None, list[Flaw]]:
    try:
        note = log.checkpoint()
    except ProofError as error:
        return None, [Flaw("checkpoint-malformed", str(error))]
    if note is None:
        return None, [
            Flaw("checkpoint-missing", f"ledger {log}: there is no checkpoint. Repair with: dataward ledger repair")
        ]
    if (origin := Checkpoint.parsed(note.text).origin) != rules.origin:
        return note, [Flaw("other-log", f"ledger {log}: its checkpoint is of log '{origin}', not of '{rules.origin}'")]
    if not signers(note, rules.known(note)):
        return note, [
            Flaw("checkpoint-unsigned", f"ledger {log}: its checkpoint is not signed by a key of this keyring")
        ]
    return note, []


def _entries(log: Log, rules: KeyringRules, entries: list[bytes], excused: Callable[[int], bool]) -> list[Flaw]:
    flaws: list[Flaw] = []
    bodies: list[tuple[int, Body]] = []
    counts: dict[tuple[str, str], int] = {}
    for index, entry in enumerate(entries):
        try:
            rules.accept(index, entry)
            body = Body.parsed(entry)
        except ProofError as error:
            flaws.append(Flaw("entry-forged", str(error), index))
            continue
        expected = counts.get((body.kind, body.target), 0)
        if body.nth != expected:
            flaws.append(
                Flaw(
                    "entry-order",
                    f"ledger entry {index}: it is number {body.nth} of its table where {expected} should stand",
                    index,
                )
            )
        counts[body.kind, body.target] = body.nth + 1
        bodies.append((index, body))
    with ThreadPoolExecutor(READERS) as readers:
        documents = readers.map(lambda one: list(_documents(log, one[0], one[1])), bodies)
        flaws += [flaw for found in documents for flaw in found if not excused(flaw.entry or 0)]
    return flaws


def _documents(log: Log, index: int, body: Body) -> Iterator[Flaw]:
    for kind, name in (("statement", body.statement), ("manifest", body.manifest)):
        if name is not None and log.statement(name) is None:
            there = log.store.exists(f"statements/{name}")
            what = "was changed" if there else "is missing, and no erasure says so"
            yield Flaw(
                f"{kind}-{'changed' if there else 'missing'}",
                f"ledger entry {index}: its {kind} {what} (statements/{name})",
                index,
            )


def _tiles(log: Log, leaves: list[bytes]) -> list[Flaw]:
    wrong = [name for name, data in extended(Tiles(log.fixed, 0), leaves) if (log.store.read(name)) != data]
    remedy = "Repair with: dataward ledger repair"
    return [Flaw("tile-differs", f"ledger {log}: {name} is missing or was changed. {remedy}") for name in wrong]
