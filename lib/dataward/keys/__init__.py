"""Keys: one per purpose, domain and version, from a local keyring, AWS KMS or a Databricks secret.

``keyring`` is the common part, ``local`` the file of mode 0600; ``aws`` and ``databricks`` are imported on demand
of a contract.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dataward.keys.keyring import (
    KeyProvider,
    Keyring,
    KeyVersion,
    PublicKeys,
    Purpose,
    Store,
    Wrapping,
    derive,
    signing_key,
)
from dataward.keys.local import LocalFile, Plain

if TYPE_CHECKING:
    from dataward.contract import Keys

__all__ = [
    "KeyProvider",
    "KeyVersion",
    "Keyring",
    "PublicKeys",
    "Purpose",
    "create_keyring",
    "derive",
    "has_keyring",
    "local_keyring",
    "open_keys",
    "signing_key",
]


def open_keys(keys: Keys) -> Keyring:
    """Open the keyring of a contract.

    KeyringError: it cannot be opened; the message gives the reason and contains no secret.
        KeyringError: it cannot be opened; the message gives the reason and holds no secret.
    """
    return Keyring(*_parts(keys))


def create_keyring(keys: Keys | Path) -> Keyring:
    """Create an empty keyring, at a path or at a contract's location. An existing keyring is never overwritten.

    Raises:
        KeyringError: the keyring exists, or cannot be written.
    """
    return Keyring.created(*((LocalFile(keys), Plain()) if isinstance(keys, Path) else _parts(keys)))


def has_keyring(keys: Keys) -> bool:
    """Return whether the contract's keyring exists."""
    return _parts(keys)[0].read() is not None


def local_keyring(path: Path) -> Keyring:
    """Return the keyring in a file."""
    return Keyring(LocalFile(path), Plain())


def _parts(keys: Keys) -> tuple[Store, Wrapping]:
    if keys.provider == "databricks":
        from dataward.keys.databricks import Secret

        return Secret(keys.path), Plain(lazily=False)
    if keys.provider == "aws_kms":
        from dataward.keys.aws import Kms, S3Object

        assert keys.key is not None  # noqa: S101 - the contract demands it
        store: Store = S3Object(keys.path) if keys.path.startswith("s3://") else LocalFile(Path(keys.path))
        return store, Kms(keys.key, keys.env)
    return LocalFile(Path(keys.path)), Plain()
