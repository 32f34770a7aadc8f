"""Agree on keys between two sites, and expand masks from the keys.

X25519 (RFC 7748) gives a common secret, HKDF-SHA-256 (RFC 5869) a key for one purpose and session, ChaCha20 (RFC 8439) the mask
as a stream of integers mod 2^64.
"""

from __future__ import annotations

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dataward.errors import SiteRefused
from dataward.federated.encode import Integers

__all__ = ["agree", "expand", "public_of"]


def public_of(private: bytes) -> bytes:
    """Return the X25519 public key (32 bytes) of a private one."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def agree(private: bytes, public: bytes, purpose: bytes) -> bytes:
    """Derive the 32-byte key that the holders of two key pairs share for a purpose.

    Raises:
        SiteRefused: the public key is not 32 bytes, or is a point of low order.
    """
    try:
        secret = X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise SiteRefused("a public key for X25519 is invalid") from None
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"dataward/federated/1/" + purpose).derive(secret)


def expand(seed: bytes, size: int) -> Integers:
    """Expand a 32-byte seed, which is used for nothing else, to integers mod 2^64."""
    stream = Cipher(ChaCha20(seed, bytes(16)), mode=None).encryptor().update(bytes(8 * size))
    return np.frombuffer(stream, dtype="<u8").astype(np.uint64)
