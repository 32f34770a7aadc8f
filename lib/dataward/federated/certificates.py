"""A party's key: Ed25519, in a file of mode 0600, with a self-signed certificate beside it.

The certificate contains the public key for TLS and plans. Peers trust this certificate and no authority.
"""

from __future__ import annotations

import hashlib
import os
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from dataward.errors import KeyringError, TargetError

__all__ = ["certificate", "create", "private_key", "public_key"]

NEVER = datetime(9999, 12, 31, 23, 59, 59)
"""No well-defined expiration (RFC 5280, 4.1.2.5): a key is valid as long as plans name it."""


def create(folder: Path, name: str) -> tuple[Path, Path]:
    """Write ``NAME.key`` (PEM, mode 0600) and ``NAME.pub`` (PEM certificate); existing files are never overwritten.

    Raises:
        TargetError: a file exists, or cannot be written.
    """
    key, public = folder / f"{name}.key", folder / f"{name}.pub"
    private = Ed25519PrivateKey.generate()
    secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in (key, public):
            if path.exists():
                raise TargetError(f"{path} exists already; a site's key is never overwritten. Move it away first")
        for path, text, mode in ((key, secret, 0o600), (public, certificate(private), 0o644)):
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
                stream.write(text)
    except OSError as error:
        raise TargetError(f"{folder}: the key cannot be written ({error.strerror})") from None
    return key, public


def certificate(private: Ed25519PrivateKey) -> bytes:
    """Return the self-signed certificate (PEM) of a key; its bytes are deterministic, so that peers can pin it."""
    digest = hashlib.sha256(private.public_key().public_bytes_raw()).hexdigest()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"dataward {digest[:32]}")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(int(digest[:38], 16))
        .not_valid_before(datetime(2020, 1, 1))
        .not_valid_after(NEVER)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    )
    return builder.sign(private, None).public_bytes(Encoding.PEM)


def public_key(pem: bytes) -> Ed25519PublicKey:
    """Return the key of a PEM certificate; raises ValueError if it is not a certificate of an Ed25519 key."""
    key = x509.load_pem_x509_certificate(pem).public_key()
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("not an Ed25519 key")
    return key


def private_key(path: Path) -> Ed25519PrivateKey:
    """Read a private key.

    Raises:
        KeyringError: the file cannot be read, is not an Ed25519 key, or others may read it.
    """
    try:
        mode = path.stat().st_mode & 0o777
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise KeyringError(
            f"key {path} cannot be read ({error.strerror}). Create it with: dataward site init"
        ) from None
    except (ValueError, TypeError):
        raise KeyringError(f"key {path} is no private key in PEM") from None
    if mode & 0o077:
        raise KeyringError(f"key {path} has mode {mode:04o}: others may read it. Run: chmod 600 {path}")
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyringError(f"key {path} is no Ed25519 key. Create one with: dataward site init")
    return key
