"""Encrypt state that is kept between runs: AES-256-GCM (NIST SP 800-38D) with a random nonce for each item."""

from __future__ import annotations

import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["Box"]

NONCE = 12  # bytes


@dataclass(frozen=True)
class Box:
    """Authenticated encryption under one key of 32 bytes.

    The place of an item is associated data, so that bytes moved to another place do not decrypt.
    """

    secret: bytes

    def shut(self, data: bytes, place: str) -> bytes:
        """Encrypt data; returns nonce, ciphertext and tag."""
        nonce = os.urandom(NONCE)
        return nonce + AESGCM(self.secret).encrypt(nonce, data, place.encode())

    def open(self, data: bytes, place: str) -> bytes:
        """Decrypt the result of :meth:`shut`.

        Raises:
            ValueError: the bytes are damaged, or were encrypted under another key or for another place.
        """
        try:
            return AESGCM(self.secret).decrypt(data[:NONCE], data[NONCE:], place.encode())
        except InvalidTag:
            raise ValueError(f"the state of {place} does not open: it was changed, or belongs to another key") from None

    def __repr__(self) -> str:
        """Return a text without the key."""
        return "Box()"
