"""``encrypt``: deterministic and reversible, ``v<key version>.<base64url>``; type becomes string.

Protects against: reading and changing values without the key. Does not protect against: whoever has the key, and
counting, as with ``token``: equal values have equal ciphertexts. The length of the value can be told.

AES-256-SIV (RFC 5297), without associated data: every domain has a key of its own. What is encrypted is the value's
text as it came, so that the original comes back exactly.
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
from dataward.privacy.keys import Purpose
from dataward.privacy.protect.operator import Made, Operator, Rows
from dataward.privacy.protect.siv import encrypt
from dataward.privacy.protect.texts import joined, texts

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["EncryptOperator", "opened", "written"]

FEW = 8  # values; one by one is faster for these
URL_SAFE = bytes.maketrans(b"+/", b"-_")


def written(version: int, data: Any, starts: Any) -> pa.Array:
    """Ciphertexts, one after another in ``data``, as strings: the version, and base64url without padding (RFC 4648).

    Each is moved to where a group of three bytes begins, behind room for the version, so that one call encodes all.
    """
    import numpy as np
    import pyarrow as pa

    prefix, lengths = f"v{version}.".encode(), np.diff(starts)
    if len(lengths) < FEW:
        body = data.tobytes()
        spans = itertools.pairwise(starts.tolist())
        few = [prefix + base64.urlsafe_b64encode(body[begin:end]).rstrip(b"=") for begin, end in spans]
        return pa.array(few, pa.binary()).cast(pa.string())
    room = -(-len(prefix) // 4)  # groups
    groups = room + -(-lengths // 3)
    begins = np.concatenate([[0], np.cumsum(groups)])
    spaced = np.zeros(3 * begins[-1], np.uint8)
    sizes = len(prefix) + -(-lengths * 8 // 6)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    if offsets[-1] >= 2**31:
        raise OverflowError("more than 2 GiB of text in one batch: lower spark.sql.execution.arrow.maxRecordsPerBatch")
    head = 4 * room - len(prefix)  # characters before the version
    if lengths.min() == lengths.max():  # the common case: a matrix
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
    import numpy as np

    return np.frombuffer(bytearray(binascii.b2a_base64(data, newline=False).translate(URL_SAFE)), np.uint8)


def opened(ciphertexts: pa.Array, version: int, decrypt: Callable[[bytes], bytes]) -> pa.Array:
    """The originals' texts of :func:`written`, as binary.

    Raises:
        ValueError: a text is not of this version, or is damaged or of another key (told without the value).
    """
    import pyarrow as pa

    prefix = f"v{version}."
    out: list[bytes | None] = []
    for text in ciphertexts.to_pylist():
        if text is None:
            out.append(None)
            continue
        if not text.startswith(prefix):
            raise ValueError(f"a value is not encrypted under key version {version}")
        body = text[len(prefix) :]
        try:
            out.append(decrypt(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))))
        except Exception:
            raise ValueError("a value is damaged, or encrypted under another key") from None
    return pa.array(out, pa.binary())


@dataclass(frozen=True)
class EncryptOperator(Operator):
    parameters: Encrypt
    purpose: ClassVar[Purpose | None] = "encrypt"

    def output(self, kind: pa.DataType) -> pa.DataType:
        import pyarrow as pa

        return pa.string()

    def apply(self, values: pa.Array, rows: Rows) -> Made:
        import pyarrow as pa
        import pyarrow.compute as pc

        assert self.key is not None  # noqa: S101 - it has a purpose
        data, starts = joined(texts(values))
        made = written(self.key.version, *encrypt(self.secret, data, starts))
        return pc.if_else(values.is_valid(), made, pa.scalar(None, pa.string())), None

    def reverse(self, ciphertexts: pa.Array) -> pa.Array:
        """The originals' texts, as binary.

        Raises:
            ValueError: a text is damaged or of another key or version.
        """
        assert self.key is not None  # noqa: S101 - it has a purpose
        siv = AESSIV(self.secret)
        return opened(ciphertexts, self.key.version, lambda data: siv.decrypt(data, None))
