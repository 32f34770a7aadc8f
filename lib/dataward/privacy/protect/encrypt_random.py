"""``encrypt_random``: randomised and reversible encryption to ``v<key version>.<base64url>``; type becomes string.

Protects against: reading, changing and comparing values without the key; equal values have different ciphertexts. Does not
protect against: holders of the key. A ciphertext reveals the length of the value. Columns do not join, and a rerun writes
other ciphertexts.

AES-256-GCM (NIST SP 800-38D) with a fresh random nonce of 96 bits before every ciphertext; one key serves 2^32 values
(section 8.3), so rotate the domain before that.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dataward.contract.protections import EncryptRandom
from dataward.keys import Purpose
from dataward.privacy.protect.encrypt import opened, written
from dataward.privacy.protect.operator import Made, Operator, Rows
from dataward.privacy.protect.texts import joined, messages

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["EncryptRandomOperator"]

NONCE = 12  # bytes


@dataclass(frozen=True)
class EncryptRandomOperator(Operator):
    """Implementation of ``encrypt_random``."""

    parameters: EncryptRandom
    purpose: ClassVar[Purpose | None] = "encrypt_random"

    @property
    def deterministic(self) -> bool:
        """False: equal values have different ciphertexts."""
        return False

    def output(self, kind: pa.DataType) -> pa.DataType:
        """Return string, the output type for every input type."""
        import pyarrow as pa

        return pa.string()

    def apply(self, values: pa.Array, rows: Rows) -> Made:
        """Protect an array of values."""
        import pyarrow as pa
        import pyarrow.compute as pc

        assert self.key is not None  # noqa: S101 - operators with a purpose have a key
        encrypt, nonces = AESGCM(self.secret).encrypt, os.urandom(NONCE * len(values))
        encrypted = []
        for begin, value in zip(range(0, len(nonces), NONCE), messages(values), strict=True):
            nonce = nonces[begin : begin + NONCE]
            encrypted.append(nonce + encrypt(nonce, value, None))
        ciphertexts = written(self.key.version, *joined(pa.array(encrypted, pa.binary())))
        return pc.if_else(values.is_valid(), ciphertexts, pa.scalar(None, pa.string())), None

    def reverse(self, ciphertexts: pa.Array) -> pa.Array:
        """Decrypt ciphertexts.

        Returns:
            The texts of the originals as binary array.

        Raises:
            ValueError: a ciphertext is damaged, or belongs to another key or version.
        """
        assert self.key is not None  # noqa: S101 - operators with a purpose have a key
        gcm = AESGCM(self.secret)
        return opened(ciphertexts, self.key.version, lambda data: gcm.decrypt(data[:NONCE], data[NONCE:], None))
