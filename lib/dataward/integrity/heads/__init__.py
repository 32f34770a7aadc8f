"""Heads: checkpoints in places that cannot be changed by whoever can change table and ledger.

A place of heads publishes a checkpoint and returns its newest one. Before it publishes, the log is compared with
that checkpoint: a log that was cut, rolled back or rewritten is refused immediately.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from dataward.contract.heads import Head
from dataward.errors import DatawardError, ProofError, TargetError
from dataward.integrity.log.log import Log
from dataward.integrity.log.notes import Checkpoint, Note, parse

__all__ = [
    "Place",
    "Published",
    "Unread",
    "checkpoint_of",
    "extends",
    "known_heads",
    "open_place",
    "publish",
    "read_heads",
]


class Place(Protocol):
    """Place of the heads of one log; ``str`` names it."""

    def newest(self) -> Note | None:
        """Return the newest stored checkpoint of the log; None where there is none.

        Raises:
            TargetError: the place cannot be read.
            ProofError: the stored checkpoint does not verify.
        """
        ...

    def keep(self, note: Note) -> str:
        """Store a checkpoint, once, and return its location.

        Raises:
            TargetError: the place cannot be written.
            ProofError: another checkpoint of that size is stored already.
        """
        ...


@dataclass(frozen=True)
class Published:
    """Outcome of one place: ``trouble`` is empty where the checkpoint of ``size`` entries is stored there.

    ``contradicts``: the ledger contradicts the stored checkpoint.
    """

    place: str
    required: bool
    size: int
    where: str = ""
    trouble: str = ""
    contradicts: bool = False


def open_place(head: Head, log: Log) -> Place:
    """Return the place of a contract's entry, for one log."""
    origin = log.origin() or ""
    if head.directory:
        from dataward.integrity.heads.folder import Folder

        return Folder(head.directory, origin)
    if head.s3:
        from dataward.integrity.heads.aws import LockedObjects

        return LockedObjects(head.s3, origin, head.retain_days)
    if head.cloudwatch:
        from dataward.integrity.heads.aws import LogStream

        return LogStream(head.cloudwatch, origin)
    if head.timestamp:
        from dataward.integrity.heads.timestamp import Timestamps

        return Timestamps(head.timestamp, head.certificate or "", log)
    from dataward.integrity.heads.witness import Witness

    return Witness(head.witness or "", head.key or "", log)


def publish(log: Log, heads: Sequence[Head]) -> list[Published]:
    """Publish the newest checkpoint to every place; failures are returned, not raised.

    Raises:
        ProofError: the ledger has no checkpoint.
    """
    if not heads:
        return []
    note = log.checkpoint()
    if note is None:
        raise ProofError(f"ledger {log}: there is no checkpoint to keep. Repair with: dataward ledger repair")
    return [_published(log, head, note) for head in heads]


def _published(log: Log, head: Head, note: Note) -> Published:
    size = Checkpoint.parsed(note.text).size
    try:
        place = open_place(head, log)
        before = place.newest()
        extends(log, note, before, str(place))
        if before is not None and before.text == note.text:
            return Published(str(head), head.required, size, "kept before")
        return Published(str(head), head.required, size, place.keep(note))
    except DatawardError as error:
        contradicts = isinstance(error, ProofError)
        return Published(str(head), head.required, size, trouble=str(error), contradicts=contradicts)


def extends(log: Log, note: Note, before: Note | None, place: str) -> None:
    """Raise ProofError where a log does not extend the stored head of a place."""
    if before is None:
        return
    kept, head = Checkpoint.parsed(before.text), Checkpoint.parsed(note.text)
    if kept.size > head.size:
        grown = log.size()
        if kept.size > grown:
            raise ProofError(
                f"ledger {log}: {place} keeps a head of {kept.size} entries, and {grown} are here: the end of the log was cut off, "
                "or the folder was rolled back. Restore it from your backup"
            )
        raise TargetError(f"ledger {log}: another writer has published a larger head already; run it again")
    if log.root(kept.size) != kept.root:
        raise ProofError(
            f"ledger {log}: its first {kept.size} entries are not those of the head that {place} keeps: history was rewritten. "
            "Restore it from your backup"
        )


@dataclass(frozen=True)
class Unread:
    """A place without a known head. ``damaged``: its head does not verify, else it could not be read."""

    place: str
    trouble: str
    damaged: bool

    def __str__(self) -> str:
        """Return place and reason."""
        return f"{self.place}: {self.trouble}"


def read_heads(log: Log, heads: Iterable[Head]) -> list[tuple[Head, Note | Unread | None]]:
    """Return the newest head of every place; None where a place holds no head of this log."""
    found: list[tuple[Head, Note | Unread | None]] = []
    for head in heads:
        try:
            found.append((head, open_place(head, log).newest()))
        except DatawardError as error:
            found.append((head, Unread(str(head), str(error), isinstance(error, ProofError))))
    return found


def known_heads(log: Log, heads: Iterable[Head]) -> tuple[list[Note], list[Unread]]:
    """Return the newest head of every place, and the places whose head could not be read."""
    found = [one for _, one in read_heads(log, heads)]
    return [one for one in found if isinstance(one, Note)], [one for one in found if isinstance(one, Unread)]


def checkpoint_of(data: bytes, where: str) -> Note:
    """Parse the stored checkpoint of a place.

    Raises:
        ProofError: the data is not a checkpoint.
    """
    try:
        note = parse(data)
        Checkpoint.parsed(note.text)
    except ValueError as error:
        raise ProofError(f"{where}: {error}: what is kept there was changed") from None
    return note
