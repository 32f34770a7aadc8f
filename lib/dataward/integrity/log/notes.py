"""Signed notes and checkpoints (C2SP signed-note, tlog-checkpoint, tlog-cosignature): Ed25519 only.

Foreign text is parsed within bounds: a note has at most 64 KiB and 32 signatures.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

__all__ = ["Checkpoint", "Note", "Signature", "Signer", "Verifier", "cosignature", "key_id", "parse"]

ED25519, COSIGNATURE = 1, 4
LONGEST, MOST = 64 * 1024, 32
NAME = re.compile(r"[^\s+\x00-\x1f]+")


@dataclass(frozen=True)
class Signature:
    """One signature line: name of the key, its ID (4 bytes), the signature."""

    name: str
    id: bytes
    signature: bytes

    @property
    def line(self) -> str:
        """The line without its newline."""
        return f"\u2014 {self.name} {base64.b64encode(self.id + self.signature).decode()}"


@dataclass(frozen=True)
class Note:
    """A text, which ends in a newline, and its signatures."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        """Return the text of the note."""
        return f"{self.text}\n" + "".join(f"{one.line}\n" for one in self.signatures)


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """Return the ID of a key: the first 4 bytes of SHA-256 over name, newline, type and key."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


@dataclass(frozen=True)
class Verifier:
    """A public key with its name; ``kind``: 1 signs notes, 4 cosigns checkpoints as a witness."""

    name: str
    key: Ed25519PublicKey
    kind: int = ED25519

    @property
    def id(self) -> bytes:
        """ID of the key."""
        return key_id(self.name, self.kind, _raw(self.key))

    @property
    def vkey(self) -> str:
        """The key as text: name+hash+base64, the format of Go's ``note`` and Tessera."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(bytes([self.kind]) + _raw(self.key)).decode()}"

    @classmethod
    def parsed(cls, vkey: str) -> Verifier:
        """Parse a key's text.

        Raises:
            ValueError: the text is not an Ed25519 key of a known type, or its hash is another key's.
        """
        name, given, encoded = (*vkey.strip().split("+", 2), "", "")[:3]
        try:
            data = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            data = b""
        if not NAME.fullmatch(name) or len(data) != 33 or data[0] not in (ED25519, COSIGNATURE):
            raise ValueError("this is no Ed25519 key of a note: NAME+HASH+BASE64 is needed")
        made = cls(name, Ed25519PublicKey.from_public_bytes(data[1:]), data[0])
        if given != made.id.hex():
            raise ValueError(f"the hash in this key's text is not the one of key '{name}'")
        return made

    def time_of(self, note: Note) -> int | None:
        """Return the time (seconds since 1970) of this witness's valid cosignature of a note; None where there is none."""
        for one in note.signatures:
            if (one.name, one.id) != (self.name, self.id) or len(one.signature) != 72:
                continue
            time = int.from_bytes(one.signature[:8], "big")
            if self._holds(one.signature[8:], cosigned(note.text, time)):
                return time
        return None

    def signed(self, note: Note) -> bool:
        """Return whether this key signed the note."""
        mine = [one for one in note.signatures if (one.name, one.id) == (self.name, self.id)]
        return bool(mine) and all(self._holds(one.signature, note.text.encode()) for one in mine)

    def _holds(self, signature: bytes, message: bytes) -> bool:
        try:
            self.key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class Signer:
    """A private key that signs notes under a name."""

    name: str
    key: Ed25519PrivateKey

    @property
    def verifier(self) -> Verifier:
        """The public key."""
        return Verifier(self.name, self.key.public_key())

    def sign(self, text: str) -> Note:
        """Return the signed note of a text."""
        return Note(text, (Signature(self.name, self.verifier.id, self.key.sign(text.encode())),))


def cosigned(text: str, time: int) -> bytes:
    """Return the message that a witness signs (tlog-cosignature, Ed25519)."""
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def cosignature(name: str, key: Ed25519PrivateKey, text: str, time: int) -> Signature:
    """Return a witness's cosignature of a checkpoint's text."""
    signature = key.sign(cosigned(text, time))
    return Signature(name, key_id(name, COSIGNATURE, _raw(key.public_key())), time.to_bytes(8, "big") + signature)


def parse(data: str | bytes) -> Note:
    """Parse a note without verification.

    Raises:
        ValueError: the data is not a note.
    """
    if len(data) > LONGEST:
        raise ValueError("a note has at most 64 KiB")
    whole = data if isinstance(data, str) else data.decode("utf-8")
    text, blank, lines = whole.rpartition("\n\n")
    text += "\n"
    if not blank or not lines.endswith("\n") or any(ord(sign) < 32 and sign != "\n" for sign in whole):
        raise ValueError("this is no signed note: text, an empty line and signature lines are needed")
    signatures = tuple(_signature(line) for line in lines[:-1].split("\n"))
    if len(signatures) > MOST:
        raise ValueError(f"a note has at most {MOST} signatures")
    return Note(text, signatures)


def _signature(line: str) -> Signature:
    mark, name, encoded = (*line.split(" "), "", "", "")[:3]
    if mark != "\u2014" or not NAME.fullmatch(name) or line.count(" ") != 2:
        raise ValueError("a signature line of the note is malformed")
    try:
        data = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        data = b""
    if len(data) < 5:
        raise ValueError("a signature of the note is malformed")
    return Signature(name, data[:4], data[4:])


@dataclass(frozen=True)
class Checkpoint:
    """Origin, size and root hash of a log."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The signed text."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parsed(cls, text: str) -> Checkpoint:
        """Parse the text of a checkpoint's note; extension lines are refused, as nobody could audit them.

        Raises:
            ValueError: the text is not a checkpoint.
        """
        lines = text.split("\n")
        if len(lines) != 4 or lines[3] or not lines[0] or not re.fullmatch(r"0|[1-9][0-9]{0,18}", lines[1]):
            raise ValueError("this is no checkpoint: origin, size and root hash are needed, one a line")
        try:
            root = base64.b64decode(lines[2], validate=True)
        except binascii.Error:
            root = b""
        if len(root) != 32:
            raise ValueError("the root hash of the checkpoint is malformed")
        return cls(lines[0], int(lines[1]), root)


def signers(note: Note, known: Iterable[Verifier]) -> list[Verifier]:
    """Return the known keys that signed a note."""
    return [one for one in known if one.signed(note)]
