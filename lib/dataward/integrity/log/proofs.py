"""Offline proofs in C2SP's tlog-proof format."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass

from dataward.integrity.log.merkle import holds_inclusion, leaf_hash
from dataward.integrity.log.notes import Checkpoint, Note, Verifier, parse, signers

__all__ = ["InclusionProof"]

FIRST = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True)
class InclusionProof:
    """Index of an entry, the hashes from it to the root, and the signed checkpoint; ``extra`` is not authenticated."""

    index: int
    path: tuple[bytes, ...]
    note: Note
    extra: bytes | None = None

    def __str__(self) -> str:
        """Return the proof as text."""
        extra = [f"extra {base64.b64encode(self.extra).decode()}"] if self.extra is not None else []
        hashes = [base64.b64encode(step).decode() for step in self.path]
        return "\n".join([FIRST, *extra, f"index {self.index}", *hashes, "", str(self.note)])

    @classmethod
    def parsed(cls, text: str) -> InclusionProof:
        """Parse a proof.

        Raises:
            ValueError: the text is not a proof.
        """
        head, blank, note = text.partition("\n\n")
        lines = head.split("\n")
        extra = None
        try:
            if len(lines) > 1 and lines[1].startswith("extra "):
                extra = base64.b64decode(lines.pop(1)[6:], validate=True)
            path = tuple(base64.b64decode(line, validate=True) for line in lines[2:])
        except binascii.Error:
            raise ValueError("a line of the proof is no base64") from None
        number = re.fullmatch(r"index (0|[1-9][0-9]{0,18})", lines[1] if len(lines) > 1 else "")
        if lines[0] != FIRST or not number or not blank or len(path) > 63 or any(len(step) != 32 for step in path):
            raise ValueError(f"this is no proof: it begins with {FIRST}, index and hashes, one a line")
        return cls(int(number[1]), path, parse(note), extra)

    def trouble(self, entry: bytes, known: Iterable[Verifier]) -> str:
        """Return why the proof does not hold for an entry under these keys; empty if it does."""
        if not signers(self.note, known):
            return "its checkpoint is not signed by a known key"
        try:
            head = Checkpoint.parsed(self.note.text)
        except ValueError as error:
            return str(error)
        if not holds_inclusion(self.index, head.size, leaf_hash(entry), self.path, head.root):
            return "its hashes do not lead from the entry to the checkpoint's root"
        return ""
