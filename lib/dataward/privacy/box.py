"""Bytes that are kept between runs, shut away under a key: AES-256-GCM (NIST SP 800-38D) with a nonce for each."""

from __future__ import annotations

import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["Box"]

NONCE = 12  # bytes


@dataclass(frozen=True)
class Box:
    """What one key shuts and opens. ``place`` is bound to the bytes: what lies elsewhere does not open."""

    secret: bytes

    def shut(self, data: bytes, place: str) -> bytes:
        nonce = os.urandom(NONCE)
        return nonce + AESGCM(self.secret).encrypt(nonce, data, place.encode())

    def open(self, data: bytes, place: str) -> bytes:
        """What was shut.

        Raises:
            ValueError: the bytes are damaged, of another key, or of another place.
        """
        try:
            return AESGCM(self.secret).decrypt(data[:NONCE], data[NONCE:], place.encode())
        except InvalidTag:
            raise ValueError(f"what is kept of {place} does not open: it was changed, or is of another key") from None

    def __repr__(self) -> str:
        return "Box()"
