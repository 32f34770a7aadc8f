"""``token``: a one-way token, ``v<key version>.<128 bits as hex>``, of a value's text.

Protects against: reading a value back, or testing guesses, without the key (RFC 2104; a PRF under SHA-256, FIPS 198-1).
Tokens of one domain join. Does not protect against: whoever has the key and a list of guesses, and counting: equal
values have equal tokens, so a column of few or skewed values is told by its frequencies (Naveed, Kamara, Wright:
*Inference Attacks on Property-Preserving Encrypted Databases*, CCS 2015).

HMAC-SHA-256, cut to ``bits`` (at least 128, RFC 2104 section 5). Where the text needs no canonical spelling, the JVM
computes it.
"""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from dataward.contract.protections import Pick, Token
from dataward.privacy.keys import Purpose
from dataward.privacy.protect.canonical import CANONICAL, canonical
from dataward.privacy.protect.jvm import hmac
from dataward.privacy.protect.operator import TEXT_IN_JVM, Made, Operator, Rows
from dataward.privacy.protect.texts import messages, texts, unreadable, without

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Keyed", "TokenOperator", "macs", "words"]

BLOCK = 64  # bytes, of SHA-256


def macs(secret: bytes, values: Iterable[bytes]) -> Any:
    """HMAC-SHA-256 of every value, as a uint8 array of shape (values, 32).

    The key's two blocks are hashed once: three times as fast as ``hmac.digest`` for short values.
    """
    import numpy as np

    padded = secret.ljust(BLOCK, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded)).copy
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded)).copy
    out = []
    for value in values:
        hashing = inner()
        hashing.update(value)
        finishing = outer()
        finishing.update(hashing.digest())
        out.append(finishing.digest())
    return np.frombuffer(b"".join(out), np.uint8).reshape(-1, 32)


def words(digests: Any) -> Any:
    """The first 64 bits of every MAC as a number."""
    import numpy as np

    return np.ascontiguousarray(digests[:, :8]).view(">u8").reshape(-1).astype(np.uint64)


@dataclass(frozen=True)
class Keyed(Operator):
    """An operator that looks at the MAC of a value's text in its canonical spelling."""

    parameters: Token | Pick

    @property
    def spelled(self) -> str | None:
        """The class whose canonical spelling is taken."""
        canonic = self.parameters.canonical and (self.class_ in CANONICAL or self.class_ == "phone")
        return self.class_ if canonic else None

    @property
    def needs(self) -> str:
        return "a phone number with its country (or give 'region')" if self.spelled == "phone" else "valid UTF-8"

    def of_text(self, values: pa.Array) -> tuple[Any, pa.Array, Any]:
        """The MACs, the texts that they are of (null has none), and which values have no canonical text."""
        import pyarrow as pa

        bad = None
        text = texts(values)
        if self.spelled and pa.types.is_string(values.type):
            bad = unreadable(text)
            text, unspelled = canonical(without(text, bad), self.spelled, self.parameters.region)
            bad = unspelled if bad is None else bad if unspelled is None else bad | unspelled
        return macs(self.secret, messages(text)), text, bad


@dataclass(frozen=True)
class TokenOperator(Keyed):
    parameters: Token
    purpose: ClassVar[Purpose | None] = "token"

    def output(self, kind: pa.DataType) -> pa.DataType:
        import pyarrow as pa

        return pa.string()

    def apply(self, values: pa.Array, rows: Rows) -> Made:
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        assert self.key is not None  # noqa: S101 - it has a purpose
        made, text, bad = self.of_text(values)
        prefix, size = f"v{self.key.version}.".encode(), self.parameters.bits // 8
        width = len(prefix) + 2 * size
        out = np.empty((len(made), width), np.uint8)
        out[:, : len(prefix)] = np.frombuffer(prefix, np.uint8)
        out[:, len(prefix) :] = np.frombuffer(binascii.hexlify(made[:, :size].tobytes()), np.uint8).reshape(
            -1, 2 * size
        )
        offsets = np.arange(0, (len(made) + 1) * width, width, dtype=np.int32)
        tokens = pa.Array.from_buffers(pa.string(), len(made), [None, pa.py_buffer(offsets), pa.py_buffer(out)])
        return (pc.if_else(text.is_valid(), tokens, pa.scalar(None, pa.string())) if text.null_count else tokens), bad

    def column(self, column: Any, kind: str) -> Any:
        if kind not in TEXT_IN_JVM or (self.spelled and kind == "string"):
            return None
        assert self.key is not None  # noqa: S101 - it has a purpose
        message = column.cast("string").cast("binary")
        return hmac(message, self.secret, f"v{self.key.version}.".encode(), self.parameters.bits // 8).cast("string")
