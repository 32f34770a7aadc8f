"""``encrypt_random``: randomised and reversible, ``v<key version>.<base64url>``; type becomes string.

Protects against: reading, changing, and comparing values without the key: equal values become different texts. Does not
protect against: whoever has the key. The length of the value can be told. It does not join, and a rerun writes other texts.

AES-256-GCM (NIST SP 800-38D) with a fresh random nonce of 96 bits before every ciphertext; one key serves 2^32 values
(section 8.3), so rotate the domain before that.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dataward.contract.protections import EncryptRandom
from dataward.privacy.keys import Purpose
from dataward.privacy.protect.encrypt import opened, written
from dataward.privacy.protect.operator import Made, Operator, Rows
from dataward.privacy.protect.texts import joined, messages

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["EncryptRandomOperator"]

NONCE = 12  # bytes


@dataclass(frozen=True)
class EncryptRandomOperator(Operator):
    parameters: EncryptRandom
    purpose: ClassVar[Purpose | None] = "encrypt_random"

    @property
    def deterministic(self) -> bool:
        return False

    def output(self, kind: pa.DataType) -> pa.DataType:
        import pyarrow as pa

        return pa.string()

    def apply(self, values: pa.Array, rows: Rows) -> Made:
        import pyarrow as pa
        import pyarrow.compute as pc

        assert self.key is not None  # noqa: S101 - it has a purpose
        encrypt, nonces = AESGCM(self.secret).encrypt, os.urandom(NONCE * len(values))
        made = []
        for begin, value in zip(range(0, len(nonces), NONCE), messages(values), strict=True):
            nonce = nonces[begin : begin + NONCE]
            made.append(nonce + encrypt(nonce, value, None))
        ciphertexts = written(self.key.version, *joined(pa.array(made, pa.binary())))
        return pc.if_else(values.is_valid(), ciphertexts, pa.scalar(None, pa.string())), None

    def reverse(self, ciphertexts: pa.Array) -> pa.Array:
        """The originals' texts, as binary.

        Raises:
            ValueError: a text is damaged or of another key or version.
        """
        assert self.key is not None  # noqa: S101 - it has a purpose
        gcm = AESGCM(self.secret)
        return opened(ciphertexts, self.key.version, lambda data: gcm.decrypt(data[:NONCE], data[NONCE:], None))
