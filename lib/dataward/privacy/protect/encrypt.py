"""``encrypt``: deterministic and reversible encryption to ``v<key version>.<base64url>``; type becomes string.

Protects against: reading and changing values without the key. Does not protect against: holders of the key, and frequency
analysis, as with ``token``, because equal values have equal ciphertexts. A ciphertext reveals the length of the value.

AES-256-SIV (RFC 5297) without associated data; every domain has its own key. The plaintext is the value's text without
any change of spelling, so that decryption restores it exactly.
"""

from __future__ import annotations

import base64
import binascii
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from dataward.contract.protections import Encrypt
from dataward.keys import Purpose
from dataward.privacy.protect.operator import Made, Operator, Rows
from dataward.privacy.protect.siv import encrypt
from dataward.privacy.protect.texts import joined, texts

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["EncryptOperator", "Encrypting", "opened", "written"]

FEW = 8  # values below which a loop is faster
URL_SAFE = bytes.maketrans(b"+/", b"-_")


def written(version: int, data: Any, starts: Any) -> pa.Array:
    """Format concatenated ciphertexts as strings: key version, and base64url without padding (RFC 4648).

    Each ciphertext is aligned to a group of three bytes after room for the version, so that one call encodes all.

    Args:
        version: key version.
        data: uint8 array of all ciphertexts.
        starts: offset of each ciphertext in ``data``, and the total length.

    Raises:
        OverflowError: the strings of the batch exceed 2 GiB.
    """
    import numpy as np
    import pyarrow as pa

    prefix, lengths = f"v{version}.".encode(), np.diff(starts)
    if len(lengths) < FEW:
        body = data.tobytes()
        spans = itertools.pairwise(starts.tolist())
        strings = [prefix + base64.urlsafe_b64encode(body[begin:end]).rstrip(b"=") for begin, end in spans]
        return pa.array(strings, pa.binary()).cast(pa.string())
    room = -(-len(prefix) // 4)  # groups
    groups = room + -(-lengths // 3)
    begins = np.concatenate([[0], np.cumsum(groups)])
    spaced = np.zeros(3 * begins[-1], np.uint8)
    sizes = len(prefix) + -(-lengths * 8 // 6)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    if offsets[-1] >= 2**31:
        raise OverflowError("more than 2 GiB of text in one batch: lower spark.sql.execution.arrow.maxRecordsPerBatch")
    head = 4 * room - len(prefix)  # characters before the version
    if lengths.min() == lengths.max():  # equal lengths, the common case: a matrix
        count, length = len(lengths), lengths[0]
        spaced.reshape(count, -1)[:, 3 * room : 3 * room + length] = data.reshape(count, length)
        text = _encoded(spaced).reshape(count, -1)
        text[:, head : 4 * room] = np.frombuffer(prefix, np.uint8)
        text = np.ascontiguousarray(text[:, head : head + sizes[0]])
    else:
        spaced[np.arange(len(data)) + np.repeat(3 * (begins[:-1] + room) - starts[:-1], lengths)] = data
        text = _encoded(spaced)
        heads = 4 * begins[:-1, None] + head
        text[heads + np.arange(len(prefix))] = np.frombuffer(prefix, np.uint8)
        text = text[np.arange(offsets[-1]) + np.repeat(heads[:, 0] - offsets[:-1], sizes)]
    return pa.Array.from_buffers(
        pa.string(), len(lengths), [None, pa.py_buffer(offsets.astype(np.int32).tobytes()), pa.py_buffer(text)]
    )


def _encoded(data: Any) -> Any:
    """Encode bytes, whose number is a multiple of three, as base64url."""
    import numpy as np

    return np.frombuffer(bytearray(binascii.b2a_base64(data, newline=False).translate(URL_SAFE)), np.uint8)


def opened(ciphertexts: pa.Array, version: int, decrypt: Callable[[bytes], bytes]) -> pa.Array:
    """Decrypt the strings of :func:`written`; returns the texts of the originals as binary array.

    Raises:
        ValueError: a string has another key version, is damaged, or belongs to another key; the message holds no value.
    """
    import pyarrow as pa

    prefix = f"v{version}."
    originals: list[bytes | None] = []
    for text in ciphertexts.to_pylist():
        if text is None:
            originals.append(None)
            continue
        if not text.startswith(prefix):
            raise ValueError(f"a value is not encrypted under key version {version}")
        body = text[len(prefix) :]
        try:
            originals.append(decrypt(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))))
        except Exception:
            raise ValueError("a value is damaged, or encrypted under another key") from None
    return pa.array(originals, pa.binary())


@dataclass(frozen=True)
class Encrypting(Operator):
    """Base of the operators whose output is ``v<key version>.<base64url>``."""

    def output(self, kind: pa.DataType) -> pa.DataType:
        """Return string, the output type for every input type."""
        import pyarrow as pa

        return pa.string()

    def encrypted(self, values: pa.Array) -> tuple[Any, Any]:
        """Return a uint8 array of all ciphertexts, and the offset of each with the total length at the end."""
        raise NotImplementedError

    def decrypted(self) -> Callable[[bytes], bytes]:
        """Return a function that decrypts one ciphertext."""
        raise NotImplementedError

    def apply(self, values: pa.Array, rows: Rows) -> Made:
        """Protect an array of values."""
        import pyarrow as pa
        import pyarrow.compute as pc

        assert self.key is not None  # noqa: S101 - operators with a purpose have a key
        ciphertexts = written(self.key.version, *self.encrypted(values))
        return pc.if_else(values.is_valid(), ciphertexts, pa.scalar(None, pa.string())), None

    def reverse(self, ciphertexts: pa.Array) -> pa.Array:
        """Decrypt ciphertexts.

        Returns:
            The texts of the originals as binary array.

        Raises:
            ValueError: a ciphertext is damaged, or belongs to another key or version.
        """
        assert self.key is not None  # noqa: S101 - operators with a purpose have a key
        return opened(ciphertexts, self.key.version, self.decrypted())


@dataclass(frozen=True)
class EncryptOperator(Encrypting):
    """Implementation of ``encrypt``."""

    parameters: Encrypt
    purpose: ClassVar[Purpose | None] = "encrypt"

    def encrypted(self, values: pa.Array) -> tuple[Any, Any]:
        """Encrypt with AES-SIV."""
        return encrypt(self.secret, *joined(texts(values)))

    def decrypted(self) -> Callable[[bytes], bytes]:
        """Decrypt with AES-SIV."""
        siv = AESSIV(self.secret)
        return lambda data: siv.decrypt(data, None)
