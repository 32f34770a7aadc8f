"""Sign and verify DSSE envelopes (Dead Simple Signing Envelope 1.0), with Ed25519 (RFC 8032) or ECDSA P-256 with SHA-256.

https://github.com/secure-systems-lab/dsse/blob/v1.0.0/protocol.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from dataward.errors import KeyringError

__all__ = ["Ed25519Signer", "Envelope", "PublicKey", "Signer", "key_id", "pem", "read_public_keys", "sign"]

PublicKey = Ed25519PublicKey | EllipticCurvePublicKey
PEM = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)


class Signer(Protocol):
    """A private key that signs, in memory or in a service."""

    @property
    def public(self) -> PublicKey:
        """The public key for verification."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message."""
        ...


@dataclass(frozen=True)
class Ed25519Signer:
    """A key in memory."""

    private: Ed25519PrivateKey

    @property
    def public(self) -> PublicKey:
        """The public key for verification."""
        return self.private.public_key()

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message (64 bytes)."""
        return self.private.sign(message)

    def __repr__(self) -> str:
        """Return a text without the key."""
        return f"Ed25519Signer({key_id(self.public)[:16]})"


@dataclass(frozen=True)
class Envelope:
    """A payload with signatures: pairs of key ID and signature."""

    payload_type: str
    payload: bytes
    signatures: tuple[tuple[str, bytes], ...]

    def text(self) -> bytes:
        """Return the envelope as JSON."""
        signatures = [{"keyid": key, "sig": base64.b64encode(signature).decode()} for key, signature in self.signatures]
        payload = base64.b64encode(self.payload).decode()
        return json.dumps(
            {"payload": payload, "payloadType": self.payload_type, "signatures": signatures}, separators=(",", ":")
        ).encode()

    @classmethod
    def parse(cls, data: bytes) -> Envelope:
        """Parse an envelope.

        Raises:
            ValueError: the data is not an envelope.
        """
        try:
            found = json.loads(data)
            signatures = tuple(
                (str(one.get("keyid") or ""), base64.b64decode(one["sig"], validate=True))
                for one in found["signatures"]
            )
            return cls(str(found["payloadType"]), base64.b64decode(found["payload"], validate=True), signatures)
        except (KeyError, TypeError, AttributeError, binascii.Error, RecursionError, ValueError):
            raise ValueError("it is no DSSE envelope") from None

    def signed_by(self, keys: Mapping[str, PublicKey]) -> str | None:
        """Return the ID of a known key that signed the envelope; None where no known key did."""
        message = encoded(self.payload_type, self.payload)
        for key, signature in self.signatures:
            if key in keys and verifies(keys[key], signature, message):
                return key
        return None


def encoded(payload_type: str, payload: bytes) -> bytes:
    """Return the pre-authentication encoding, which is the signed message."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(payload_type: str, payload: bytes, signer: Signer) -> Envelope:
    """Sign a payload."""
    signature = signer.sign(encoded(payload_type, payload))
    return Envelope(payload_type, payload, ((key_id(signer.public), signature),))


def verifies(key: PublicKey, signature: bytes, message: bytes) -> bool:
    """Return whether a signature was made by a key."""
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature, message)
        else:
            key.verify(signature, message, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def key_id(key: PublicKey) -> str:
    """Return the ID of a key: SHA-256 (hex) of its SubjectPublicKeyInfo in DER."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def pem(key: PublicKey) -> str:
    """Return a public key in PEM."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def read_public_keys(texts: Iterable[bytes]) -> dict[str, PublicKey]:
    """Return the public keys of PEM texts by ID; text between the keys is skipped.

    Raises:
        KeyringError: a text contains no key, or one that is neither Ed25519 nor ECDSA P-256.
    """
    found: dict[str, PublicKey] = {}
    for text in texts:
        blocks = PEM.findall(text)
        if not blocks:
            raise KeyringError("there is no public key in PEM; export it with: dataward keys public CONTRACT")
        for block in blocks:
            key = _public(block)
            found[key_id(key)] = key
    return found


def _public(block: bytes) -> PublicKey:
    try:
        key = load_pem_public_key(block)
    except (ValueError, UnsupportedAlgorithm):
        raise KeyringError("a public key in PEM is damaged") from None
    if isinstance(key, Ed25519PublicKey):
        return key
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return key
    raise KeyringError("a public key is neither Ed25519 nor ECDSA P-256, which sign statements")
