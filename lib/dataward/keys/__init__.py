"""Keys: one per purpose, domain and version, from a local keyring, a Databricks secret, or a keyring wrapped by a key service.

``keyring`` is the common part, ``local`` the file of mode 0600; ``aws``, ``azure``, ``databricks``, ``gcp``, ``objects`` and ``vault`` are
imported on demand of a contract.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dataward.errors import KeyringError
from dataward.keys.keyring import (
    KeyProvider,
    Keyring,
    KeyVersion,
    PublicKeys,
    Purpose,
    ServiceSigner,
    Store,
    Wrapping,
    derive,
    signing_key,
)
from dataward.keys.local import LocalFile, Plain
from dataward.keys.migrate import Migrated, Place, migrate

if TYPE_CHECKING:
    from dataward.contract import Keys

__all__ = [
    "KeyProvider",
    "KeyVersion",
    "Keyring",
    "Migrated",
    "PublicKeys",
    "Purpose",
    "ServiceSigner",
    "create_keyring",
    "derive",
    "has_keyring",
    "local_keyring",
    "migrate_keyring",
    "open_keys",
    "service_signer",
    "signing_key",
]


def open_keys(keys: Keys) -> Keyring:
    """Open the keyring of a contract.

    Raises:
        KeyringError: it cannot be opened; the message gives the reason and holds no secret.
    """
    return Keyring(*_parts(keys))


def create_keyring(keys: Keys | Path) -> Keyring:
    """Create an empty keyring, at a path or at a contract's location. An existing keyring is never overwritten.

    Raises:
        KeyringError: the keyring exists, or cannot be written.
    """
    return Keyring.created(*((LocalFile(keys), Plain()) if isinstance(keys, Path) else _parts(keys)))


def migrate_keyring(old: Keys, new: Keys) -> Migrated:
    """Move a keyring to another place or provider, with the same secrets (:mod:`dataward.keys.migrate`).

    Raises:
        KeyringError: a keyring cannot be read or written, or the new place has other keys.
    """
    return migrate(Place(*_parts(old)), Place(*_parts(new)))


def has_keyring(keys: Keys) -> bool:
    """Return whether the contract's keyring exists."""
    return _parts(keys)[0].read() is not None


def local_keyring(path: Path) -> Keyring:
    """Return the keyring in a file."""
    return Keyring(LocalFile(path), Plain())


def service_signer(named: str) -> ServiceSigner:
    """Return the signer of a key in a service, by the form of ``keys.sign``; nothing is contacted.

    Raises:
        KeyringError: the package of the service is missing.
    """
    with _extra("keys.sign"):
        if named.startswith("vault:"):
            from dataward.keys.vault import TransitSigner

            return TransitSigner(named.removeprefix("vault:"))
        if named.startswith(("https://", "http://")):
            from dataward.keys.azure import KeyVaultSigner

            return KeyVaultSigner(named)
        if named.startswith("projects/"):
            from dataward.keys.gcp import CloudKmsSigner

            return CloudKmsSigner(named)
        from dataward.keys.aws import KmsSigner

        return KmsSigner(named)


def _parts(keys: Keys) -> tuple[Store, Wrapping]:
    with _extra(f"keys.provider {keys.provider}"):
        return _store(keys), _wrapping(keys)


def _store(keys: Keys) -> Store:
    scheme = keys.path.partition("://")[0]
    if keys.provider == "databricks":
        from dataward.keys.databricks import Secret

        return Secret(keys.path)
    if scheme == "vault":
        from dataward.keys.vault import KvSecret

        return KvSecret(keys.path)
    if scheme == "s3":
        from dataward.keys.aws import S3Object

        return S3Object(keys.path)
    if scheme != keys.path:
        from dataward.keys.objects import CloudObject

        return CloudObject(keys.path)
    return LocalFile(Path(keys.path))


def _wrapping(keys: Keys) -> Wrapping:
    if keys.key is None:
        return Plain(lazily=keys.provider == "local")
    if keys.provider == "vault":
        from dataward.keys.vault import Transit

        return Transit(keys.key, keys.env)
    if keys.provider == "azure_key_vault":
        from dataward.keys.azure import KeyVault

        return KeyVault(keys.key, keys.env)
    if keys.provider == "gcp_kms":
        from dataward.keys.gcp import CloudKms

        return CloudKms(keys.key, keys.env)
    from dataward.keys.aws import Kms

    return Kms(keys.key, keys.env)


EXTRAS = {
    "boto3": "aws",
    "botocore": "aws",
    "databricks": "databricks",
    "azure": "azure",
    "google": "gcp",
    "requests": "gcp",
}
"""Extra of the package, by the first part of a missing module's name."""


@contextmanager
def _extra(what: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        name = (error.name or "").partition(".")[0]
        if name not in EXTRAS:
            raise
        raise KeyringError(f"{what} needs the package {error.name}: pip install 'dataward[{EXTRAS[name]}]'") from None
