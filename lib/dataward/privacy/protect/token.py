"""``token``: a one-way token of a value's text, ``v<key version>.<128 bits as hex>``; type becomes string.

Protects against: recovering a value, or testing guesses, without the key (RFC 2104; a PRF under SHA-256, FIPS 198-1).
Tokens of one domain join. Does not protect against: holders of the key with a list of guesses, and frequency analysis: equal
values have equal tokens, so the frequencies of few or skewed values reveal them (Naveed, Kamara, Wright: *Inference Attacks on
Property-Preserving Encrypted Databases*, CCS 2015).

HMAC-SHA-256, truncated to ``bits`` (at least 128, RFC 2104 section 5). Where the text needs no canonical spelling, the JVM
computes it.
"""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from dataward.contract.protections import Pick, Token
from dataward.keys import Purpose
from dataward.privacy.protect.canonical import CANONICAL, canonical
from dataward.privacy.protect.operator import TEXT_IN_JVM, Made, Operator, Rows
from dataward.privacy.protect.texts import messages, texts, unreadable, without
from dataward.spark.hmac import hmac
from dataward.spark.kind import is_remote

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Keyed", "TokenOperator", "macs", "words"]

BLOCK = 64  # bytes, of SHA-256


def macs(secret: bytes, values: Iterable[bytes]) -> Any:
    """Compute HMAC-SHA-256 of every value; returns a uint8 array of shape (values, 32).

    The key's two blocks are hashed only once, which is three times as fast as ``hmac.digest`` for short values.
    """
    import numpy as np

    padded = secret.ljust(BLOCK, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded)).copy
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded)).copy
    digests = []
    for value in values:
        inner_hash = inner()
        inner_hash.update(value)
        outer_hash = outer()
        outer_hash.update(inner_hash.digest())
        digests.append(outer_hash.digest())
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32)


def words(digests: Any) -> Any:
    """Return the first 64 bits of every MAC as uint64."""
    import numpy as np

    return np.ascontiguousarray(digests[:, :8]).view(">u8").reshape(-1).astype(np.uint64)


@dataclass(frozen=True)
class Keyed(Operator):
    """Base of operators that compute the MAC of a value's text in its canonical spelling."""

    parameters: Token | Pick

    @property
    def spelled(self) -> str | None:
        """The class whose canonical spelling applies; None: the text stays as it is."""
        canonic = self.parameters.canonical and (self.class_ in CANONICAL or self.class_ == "phone")
        return self.class_ if canonic else None

    @property
    def needs(self) -> str:
        """Description of valid values, for messages."""
        return "a phone number with its country (or give 'region')" if self.spelled == "phone" else "valid UTF-8"

    def of_text(self, values: pa.Array) -> tuple[Any, pa.Array, Any]:
        """Return the MACs, the texts (null for a null value), and a boolean array of values without a canonical text or None."""
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
    """Implementation of ``token``."""

    parameters: Token
    purpose: ClassVar[Purpose | None] = "token"

    def output(self, kind: pa.DataType) -> pa.DataType:
        """Return string, the output type for every input type."""
        import pyarrow as pa

        return pa.string()

    def apply(self, values: pa.Array, rows: Rows) -> Made:
        """Protect an array of values."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        assert self.key is not None  # noqa: S101 - operators with a purpose have a key
        digests, text, bad = self.of_text(values)
        prefix, size = f"v{self.key.version}.".encode(), self.parameters.bits // 8
        width = len(prefix) + 2 * size
        characters = np.empty((len(digests), width), np.uint8)
        characters[:, : len(prefix)] = np.frombuffer(prefix, np.uint8)
        characters[:, len(prefix) :] = np.frombuffer(binascii.hexlify(digests[:, :size].tobytes()), np.uint8).reshape(
            -1, 2 * size
        )
        offsets = np.arange(0, (len(digests) + 1) * width, width, dtype=np.int32)
        tokens = pa.Array.from_buffers(
            pa.string(), len(digests), [None, pa.py_buffer(offsets), pa.py_buffer(characters)]
        )
        return (pc.if_else(text.is_valid(), tokens, pa.scalar(None, pa.string())) if text.null_count else tokens), bad

    def column(self, column: Any, kind: str) -> Any:
        """Return the protection as an expression of the JVM; None for types that need Arrow, and without a JVM."""
        if kind not in TEXT_IN_JVM or (self.spelled and kind == "string") or is_remote():
            return None
        return self.of_column(column)

    def of_column(self, column: Any) -> Any:
        """Return the tokens of a column's texts as they are, as an expression on every kind of session."""
        assert self.key is not None  # noqa: S101 - operators with a purpose have a key
        message = column.cast("string").cast("binary")
        return hmac(message, self.secret, f"v{self.key.version}.".encode(), self.parameters.bits // 8).cast("string")
