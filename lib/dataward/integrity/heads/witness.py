"""Heads with a witness (C2SP tlog-witness): it cosigns a checkpoint only if the checkpoint extends the last cosigned one.

The cosigned checkpoint is in the ledger's folder; the witness's own memory makes it an independent head.
"""

from __future__ import annotations

import base64
import re

from dataward.errors import ProofError, TargetError
from dataward.integrity.heads import checkpoint_of
from dataward.integrity.heads.web import post
from dataward.integrity.log.entries import digest
from dataward.integrity.log.log import Log
from dataward.integrity.log.notes import Checkpoint, Note, Verifier, parse

__all__ = ["Witness"]


class Witness:
    """One witness, by the URL of its submission prefix and its key (a vkey of type 4)."""

    def __init__(self, url: str, key: str, log: Log) -> None:
        """Set URL, key and log."""
        self._url, self._log = url.rstrip("/"), log
        self._key = Verifier.parsed(key)
        self._folder = f"heads/{digest(url)[:16]}"

    def __str__(self) -> str:
        """Return the URL."""
        return f"witness {self._url}"

    def newest(self) -> Note | None:
        """Return the largest stored cosigned checkpoint."""
        names = [name for name in self._log.store.names(self._folder) if name.endswith(".checkpoint")]
        if not names:
            return None
        note = checkpoint_of(self._log.store.read(names[-1]) or b"", names[-1])
        if self._key.time_of(note) is None:
            raise ProofError(f"{self._log}/{names[-1]}: it does not bear the cosignature of {self}")
        return note

    def keep(self, note: Note) -> str:
        """Request a cosignature of a checkpoint, starting from the size that the witness knows."""
        before = self.newest()
        old = Checkpoint.parsed(before.text).size if before else 0
        for _ in range(3):
            status, answer = self._asked(old, note)
            if status == 200:
                return self._stored(note, answer)
            size = answer.decode("ascii", "replace").strip()
            if status != 409 or not re.fullmatch(r"0|[1-9][0-9]{0,18}", size):
                raise self._refused(status)
            head = Checkpoint.parsed(note.text)
            if int(size) > head.size:
                raise ProofError(
                    f"ledger {self._log}: {self} has cosigned {size} entries, and {head.size} are here: the end of the log was cut "
                    "off, or the folder was rolled back. Restore it from your backup"
                )
            if int(size) == old:
                raise ProofError(f"ledger {self._log}: {self} has cosigned other entries: history was rewritten")
            old = int(size)
        raise TargetError(f"{self}: other writers were always faster; run it again")

    def _asked(self, old: int, note: Note) -> tuple[int, bytes]:
        size = Checkpoint.parsed(note.text).size
        proof = self._log.consistency_proof(old, size) if 0 < old < size else []
        lines = [f"old {old}", *(base64.b64encode(step).decode() for step in proof), "", str(note)]
        return post(f"{self._url}/add-checkpoint", "\n".join(lines).encode(), "text/plain; charset=utf-8")

    def _stored(self, note: Note, answer: bytes) -> str:
        try:
            cosigned = parse(str(note).encode() + answer)
        except ValueError:
            cosigned = note
        if cosigned.text != note.text or self._key.time_of(cosigned) is None:
            raise ProofError(f"{self}: its answer holds no valid cosignature by key {self._key.name}")
        mine = tuple(one for one in cosigned.signatures if one in note.signatures or one.id == self._key.id)
        name = f"{self._folder}/{Checkpoint.parsed(note.text).size:020}.checkpoint"
        self._log.store.put(name, str(Note(note.text, mine)).encode())
        return f"{self}, cosigned"

    def _refused(self, status: int) -> ProofError | TargetError:
        if status == 422:
            return ProofError(
                f"ledger {self._log}: {self} found that it does not extend what it cosigned before: history was rewritten"
            )
        reasons = {
            404: "it does not know this log: register its origin and key",
            403: "it does not know this log's key: register it",
        }
        return TargetError(f"{self}: it answered {status}; {reasons.get(status, 'see its log')}")
