"""Heads in a folder: a mounted disk of another owner, or a prefix of another account's bucket."""

from __future__ import annotations

from dataward.errors import ProofError
from dataward.integrity.heads import checkpoint_of
from dataward.integrity.log.entries import digest
from dataward.integrity.log.notes import Checkpoint, Note
from dataward.tables.store import store_at

__all__ = ["Folder", "name_of"]


def name_of(origin: str, size: int) -> str:
    """Return the name of a head from the log's digest and the size, so that names sort by size."""
    return f"{digest(origin)[:16]}/{size:020}.checkpoint"


class Folder:
    """A folder on any storage that supports ledgers. An existing file is never replaced."""

    def __init__(self, path: str, origin: str) -> None:
        """Open the folder."""
        self._store, self._origin = store_at(path), origin

    def __str__(self) -> str:
        """Return the path."""
        return f"directory {self._store}"

    def newest(self) -> Note | None:
        """Return the largest checkpoint."""
        names = [name for name in self._store.names(digest(self._origin)[:16]) if name.endswith(".checkpoint")]
        data = self._store.read(names[-1]) if names else None
        return checkpoint_of(data, f"{self}/{names[-1]}") if data is not None else None

    def keep(self, note: Note) -> str:
        """Create the file of the checkpoint's size."""
        name = name_of(self._origin, Checkpoint.parsed(note.text).size)
        if not self._store.create(name, str(note).encode()):
            there = checkpoint_of(self._store.read(name) or b"", f"{self}/{name}")
            if there.text != note.text:
                raise ProofError(f"{self}/{name}: another checkpoint of this size is kept there: the log was forked")
        return f"{self._store}/{name}"
