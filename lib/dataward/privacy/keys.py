"""Keys: a provider gives one key per purpose, domain and version; the local keyring is the first provider.

Every key is derived by HKDF-SHA-256 (RFC 5869) from a version's 32-byte secret, with ``info`` naming purpose, domain
and version. Keys of different domains are independent, so their tokens do not join; no key is ever stored.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dataward.contract import Keys
from dataward.errors import KeyringError

__all__ = ["KeyProvider", "LocalKeyring", "Purpose", "create_keyring", "open_keys", "signing_key"]

Purpose = Literal["token", "digest", "seal", "encrypt", "encrypt_random", "fpe", "date_shift", "pick", "vault"]

LENGTHS: dict[Purpose, int] = {"encrypt": 64, "vault": 64}
"""Bytes of a purpose's key, where they are not 32: AES-256-SIV takes two keys of 32, and so do a vault's HMAC and GCM."""


class KeyProvider(Protocol):
    """Where keys come from. ``current`` is the version that new writes use."""

    @property
    def current(self) -> int: ...

    def key(self, purpose: Purpose, domain: str, version: int) -> bytes:
        """32 bytes (64 for a purpose that takes two keys).

        Raises:
            KeyringError: there is no such version.
        """
        ...


def open_keys(keys: Keys) -> KeyProvider:
    """The provider that a contract names."""
    return LocalKeyring.open(Path(keys.path))


def signing_key(provider: KeyProvider, domain: str, version: int) -> Ed25519PrivateKey:
    """The Ed25519 key (RFC 8032) that seals tables of a domain."""
    return Ed25519PrivateKey.from_private_bytes(provider.key("seal", domain, version))


class LocalKeyring:
    """A JSON file of mode 0600 with one secret per version. ``repr`` shows no secret."""

    def __init__(self, path: Path, current: int, secrets_by_version: dict[int, bytes]) -> None:
        self.path, self._current, self._secrets = path, current, secrets_by_version

    def __repr__(self) -> str:
        return f"LocalKeyring({str(self.path)!r}, current={self._current}, versions={sorted(self._secrets)})"

    @property
    def current(self) -> int:
        return self._current

    def key(self, purpose: Purpose, domain: str, version: int) -> bytes:
        secret = self._secrets.get(version)
        if secret is None:
            raise KeyringError(
                f"keyring {self.path} has no version {version} (it has {', '.join(map(str, sorted(self._secrets)))}). "
                "Use the keyring that sealed this table"
            )
        info = f"dataward/1/{purpose}/{domain}/{version}".encode()
        return HKDF(algorithm=SHA256(), length=LENGTHS.get(purpose, 32), salt=None, info=info).derive(secret)

    @classmethod
    def open(cls, path: Path) -> LocalKeyring:
        """Read a keyring.

        Raises:
            KeyringError: it is missing, readable by others, or damaged; the message holds none of its content.
        """
        try:
            with path.open("rb") as stream:
                mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
                if mode & 0o077:
                    raise KeyringError(f"keyring {path} has mode {mode:04o}: others may read it. Run: chmod 600 {path}")
                data = json.loads(stream.read())
            found = {int(version): bytes.fromhex(entry["secret"]) for version, entry in data["versions"].items()}
            current = int(data["current"])
        except FileNotFoundError:
            raise KeyringError(f"there is no keyring {path}. Create it with: dataward keys create {path}") from None
        except OSError as error:
            raise KeyringError(f"keyring {path} cannot be read: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise KeyringError(f"keyring {path} is damaged: restore it from your backup") from None
        if current not in found or any(len(secret) != 32 for secret in found.values()):
            raise KeyringError(f"keyring {path} is damaged: restore it from your backup")
        return cls(path, current, found)


def create_keyring(path: Path) -> LocalKeyring:
    """Make a keyring with one fresh version. An existing one is never touched.

    Raises:
        KeyringError: the file exists, or cannot be written.
    """
    entry = {
        "secret": secrets.token_bytes(32).hex(),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    text = json.dumps({"format": 1, "current": 1, "versions": {"1": entry}}, indent=1)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text)
    except FileExistsError:
        raise KeyringError(
            f"keyring {path} exists already: its keys protect tables, so it is never overwritten"
        ) from None
    except OSError as error:
        raise KeyringError(f"keyring {path} cannot be written: {error.strerror}") from None
    return LocalKeyring.open(path)
