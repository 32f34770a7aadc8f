"""``encrypt_random``: randomised and reversible encryption to ``v<key version>.<base64url>``; type becomes string.

Protects against: reading, changing and comparing values without the key; equal values have different ciphertexts. Does not
protect against: holders of the key. A ciphertext reveals the length of the value. Columns do not join, and a rerun writes
other ciphertexts.

AES-256-GCM (NIST SP 800-38D) with a fresh random nonce of 96 bits before every ciphertext; one key serves 2^32 values
(section 8.3), so rotate the domain before that.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dataward.contract.protections import EncryptRandom
from dataward.keys import Purpose
from dataward.privacy.protect.encrypt import Encrypting
from dataward.privacy.protect.texts import joined, messages

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["EncryptRandomOperator"]

NONCE = 12  # bytes


@dataclass(frozen=True)
class EncryptRandomOperator(Encrypting):
    """Implementation of ``encrypt_random``."""

    parameters: EncryptRandom
    purpose: ClassVar[Purpose | None] = "encrypt_random"

    @property
    def deterministic(self) -> bool:
        """False: equal values have different ciphertexts."""
        return False

    def encrypted(self, values: pa.Array) -> tuple[Any, Any]:
        """Encrypt with AES-GCM, each value after a nonce of its own."""
        import pyarrow as pa

        encrypt, nonces = AESGCM(self.secret).encrypt, os.urandom(NONCE * len(values))
        made = []
        for begin, value in zip(range(0, len(nonces), NONCE), messages(values), strict=True):
            nonce = nonces[begin : begin + NONCE]
            made.append(nonce + encrypt(nonce, value, None))
        return joined(pa.array(made, pa.binary()))

    def decrypted(self) -> Callable[[bytes], bytes]:
        """Decrypt with AES-GCM."""
        gcm = AESGCM(self.secret)
        return lambda data: gcm.decrypt(data[:NONCE], data[NONCE:], None)
