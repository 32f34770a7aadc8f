"""Keyrings: the key versions of every domain, the version for new writes, and disabled versions.

A version is a random secret of 32 bytes. Keys are derived from it by HKDF-SHA-256 (RFC 5869), with ``info`` naming purpose,
domain and version; no derived key is ever stored. Each domain has its own secrets, so tokens of different domains do not join.

A ``Store`` is the location of a keyring's text; a ``Wrapping`` is the representation of secrets in the text.
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Literal, Protocol

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dataward.errors import KeyringError
from dataward.keys.document import Document, DomainKeys, KeyVersion, damaged, parsed

__all__ = [
    "GivenSecrets",
    "KeyProvider",
    "KeyVersion",
    "Keyring",
    "PublicKeys",
    "Purpose",
    "ServiceSigner",
    "Store",
    "Wrapping",
    "derive",
    "fingerprint_of",
    "signing_key",
]

Purpose = Literal[
    "token",
    "digest",
    "seal",
    "encrypt",
    "encrypt_random",
    "fpe",
    "date_shift",
    "pick",
    "vault",
    "shred",
    "erasure",
    "erased",
    "states",
    "release",
]

SECRET = 32  # bytes

LENGTHS: dict[str, int] = {"encrypt": 64, "vault": 64, "shred": 64, "fingerprint": 8}
"""Length of a purpose's key in bytes, if not 32: AES-256-SIV needs two keys of 32, and so do a vault's HMAC and GCM."""


class KeyProvider(Protocol):
    """Source of keys."""

    def current(self, domain: str) -> int:
        """Return the version for new writes.

        Raises:
            KeyringError: the domain has no key.
        """
        ...

    def window(self, domain: str) -> int | None:
        """Return the outgoing version while a rotation is open; None otherwise."""
        ...

    def key(self, purpose: Purpose, domain: str, version: int) -> bytes:
        """Return a key of 32 bytes (64 for a purpose with two keys).

        Raises:
            KeyringError: there is no such version, it is disabled, or it cannot be unwrapped.
        """
        ...


class PublicKeys(Protocol):
    """Source of keys that verify signatures."""

    def public_key(self, domain: str, version: int) -> Ed25519PublicKey:
        """Return the key that verifies signatures of a version."""
        ...


def derive(secret: bytes, purpose: str, domain: str, version: int) -> bytes:
    """Derive the key of a purpose by HKDF-SHA-256 without salt (the secret is uniformly random)."""
    info = f"dataward/1/{purpose}/{domain}/{version}".encode()
    return HKDF(algorithm=SHA256(), length=LENGTHS.get(purpose, 32), salt=None, info=info).derive(secret)


def signing_key(provider: KeyProvider, domain: str, version: int) -> Ed25519PrivateKey:
    """Return the Ed25519 key (RFC 8032) that signs the seals of a domain."""
    return Ed25519PrivateKey.from_private_bytes(provider.key("seal", domain, version))


class Store(Protocol):
    """Storage of a keyring's text; ``str`` names the location."""

    def read(self) -> str | None:
        """Return the text; None where there is no keyring."""
        ...

    def change(self, change: Callable[[str | None], str]) -> str:
        """Replace the text atomically by the result of ``change``; concurrent writers are serialised."""
        ...


class Wrapping(Protocol):
    """Representation of secrets in the text."""

    @property
    def lazily(self) -> bool:
        """Whether a requested domain without a key gets one."""
        ...

    def fresh(self, domain: str, version: int) -> tuple[bytes, str]:
        """Generate a secret; returns it and its text in the keyring."""
        ...

    def wrap(self, domain: str, version: int, secret: bytes) -> str:
        """Return the text of a given secret in the keyring."""
        ...

    def unwrap(self, domain: str, version: int, written: str) -> bytes:
        """Return the secret of its text in the keyring; empty where the text is damaged."""
        ...


class GivenSecrets(ABC):
    """The part of a wrapping that gets no secrets from a service: the operating system's random bytes are wrapped."""

    def fresh(self, domain: str, version: int) -> tuple[bytes, str]:
        """Generate a secret; returns it and its wrapped form.

        Raises:
            KeyringError: see :meth:`wrap`.
        """
        secret = secrets.token_bytes(SECRET)
        return secret, self.wrap(domain, version, secret)

    @abstractmethod
    def wrap(self, domain: str, version: int, secret: bytes) -> str:
        """Wrap a given secret."""


class ServiceSigner(Protocol):
    """A private key in a service; it never leaves the service."""

    @property
    def public(self) -> Ed25519PublicKey | EllipticCurvePublicKey:
        """The public key of what it signs now."""
        ...

    @property
    def publics(self) -> tuple[Ed25519PublicKey | EllipticCurvePublicKey, ...]:
        """The public keys of all of its versions."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message."""
        ...


class Keyring:
    """A keyring, read once; every secret is unwrapped at most once. ``repr`` shows no secret.

    Raises:
        KeyringError: the keyring is missing, damaged, or readable by others; the message contains none of its content.
    """

    def __init__(self, store: Store, wrapping: Wrapping) -> None:
        """Read the keyring."""
        self._store, self._wrapping = store, wrapping
        text = store.read()
        if text is None:
            raise KeyringError(f"there is no keyring {store}. Create it with: dataward keys create CONTRACT")
        self._document = self._parsed(text)
        self._secrets: dict[tuple[str, int], bytes] = {}

    def __repr__(self) -> str:
        """Return a text without secrets."""
        versions = {name: sorted(domain.versions) for name, domain in self._document.domains.items()}
        return f"Keyring({str(self._store)!r}, {versions})"

    @classmethod
    def created(cls, store: Store, wrapping: Wrapping) -> Keyring:
        """Create an empty keyring; an existing one is never overwritten."""

        def empty(text: str | None) -> str:
            if text is not None:
                raise KeyringError(
                    f"keyring {store} exists already: its keys protect tables, so it is never overwritten"
                )
            return Document().text()

        store.change(empty)
        return cls(store, wrapping)

    # use of keys

    def current(self, domain: str) -> int:
        """Return the version for new writes; a local keyring creates a domain's first key on demand.

        Raises:
            KeyringError: the domain has no key, or its current one is disabled.
        """
        if domain not in self._document.domains and self._wrapping.lazily:
            self.add_domain(domain)
        found = self._domain(domain)
        if not found.versions[found.current].enabled:
            raise KeyringError(
                f"version {found.current} of domain '{domain}' in keyring {self._store} is disabled, and new writes use "
                f"it. Enable it (dataward keys enable CONTRACT {domain} {found.current}), then make a new one (dataward rotate "
                f"{domain} --contract CONTRACT)"
            )
        return found.current

    def fingerprint(self, domain: str, version: int) -> str:
        """Return the fingerprint (hex) of a version, also of a disabled one.

        Raises:
            KeyringError: there is no such version.
        """
        return self._version(domain, version).fingerprint

    def key(self, purpose: Purpose, domain: str, version: int) -> bytes:
        """Return the key of a purpose, domain and version."""
        return derive(self._secret(domain, version), purpose, domain, version)

    def public_key(self, domain: str, version: int) -> Ed25519PublicKey:
        """Return the key that verifies signatures of a version, also of a disabled one, as verifying reveals nothing.

        Raises:
            KeyringError: there is no such version, or it cannot be unwrapped.
        """
        secret = derive(self._unwrapped(domain, version), "seal", domain, version)
        return Ed25519PrivateKey.from_private_bytes(secret).public_key()

    def window(self, domain: str) -> int | None:
        """Return the outgoing version while a rotation is open; None otherwise."""
        found = self._document.domains.get(domain)
        return found.window if found else None

    # management of keys

    @property
    def moved(self) -> str | None:
        """The keyring that this one was migrated to; None where it was not."""
        return self._document.moved

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of the domains."""
        return tuple(self._document.domains)

    def newest(self, domain: str) -> int:
        """Return the newest version of a domain."""
        return self._domain(domain).current

    def versions(self, domain: str) -> dict[int, KeyVersion]:
        """Return the versions of a domain by number."""
        return dict(self._domain(domain).versions)

    def trouble(self, domain: str, version: int) -> str:
        """Unwrap a version and compare its fingerprint; returns why it cannot be used, or an empty text."""
        try:
            secret = self._secret(domain, version)
        except KeyringError as error:
            return str(error)
        right = fingerprint_of(secret, domain, version) == self._version(domain, version).fingerprint
        return "" if right else f"version {version} of domain '{domain}' in keyring {self._store} is another secret"

    def add_domain(self, domain: str) -> None:
        """Create the first key of a domain, unless it has one."""
        self._change(
            lambda now: (
                now
                if domain in now.domains
                else self._with(now, domain, DomainKeys(current=1, versions={1: self._fresh(domain, 1)}))
            )
        )

    def rotate(self, domain: str) -> int:
        """Open a rotation with a new version for new writes, unless one is open; returns the version for new writes."""

        def changed(now: Document) -> Document:
            found = self._domain(domain, now)
            if found.window is not None:
                return now
            new = max(found.versions) + 1
            versions = {**found.versions, new: self._fresh(domain, new)}
            return self._with(now, domain, DomainKeys(current=new, window=found.current, versions=versions))

        self._change(changed)
        return self.current(domain)

    def close_window(self, domain: str) -> None:
        """Close the window of a rotation."""
        self._change(lambda now: self._with(now, domain, self._domain(domain, now).model_copy(update={"window": None})))

    def set_enabled(self, domain: str, version: int, enabled: bool) -> None:
        """Enable or disable a version; a disabled version neither protects nor decrypts."""

        def changed(now: Document) -> Document:
            found = self._domain(domain, now)
            one = self._version(domain, version, now).model_copy(update={"enabled": enabled})
            return self._with(now, domain, found.model_copy(update={"versions": {**found.versions, version: one}}))

        self._change(changed)
        self._secrets.clear()

    # internals

    def _secret(self, domain: str, version: int) -> bytes:
        found = self._version(domain, version)
        if not found.enabled:
            raise KeyringError(
                f"version {version} of domain '{domain}' in keyring {self._store} is disabled: what it protects cannot be "
                f"read. To go on: dataward keys enable CONTRACT {domain} {version}"
            )
        return self._unwrapped(domain, version)

    def _unwrapped(self, domain: str, version: int) -> bytes:
        found = self._version(domain, version)
        if (domain, version) not in self._secrets:
            secret = self._wrapping.unwrap(domain, version, found.secret)
            if len(secret) != SECRET:
                raise self._damaged()
            self._secrets[domain, version] = secret
        return self._secrets[domain, version]

    def _domain(self, domain: str, document: Document | None = None) -> DomainKeys:
        domains = (document or self._document).domains
        if domain not in domains:
            has = f"it has {', '.join(sorted(domains))}" if domains else "it is empty"
            raise KeyringError(
                f"keyring {self._store} has no domain '{domain}' ({has}). Create its key with: dataward keys create CONTRACT"
            )
        return domains[domain]

    def _version(self, domain: str, version: int, document: Document | None = None) -> KeyVersion:
        versions = self._domain(domain, document).versions
        if version not in versions:
            raise KeyringError(
                f"keyring {self._store} has no version {version} of domain '{domain}' (it has "
                f"{', '.join(map(str, sorted(versions)))}). Use the keyring that sealed this table"
            )
        return versions[version]

    def _fresh(self, domain: str, version: int) -> KeyVersion:
        secret, written = self._wrapping.fresh(domain, version)
        self._secrets[domain, version] = secret
        created = datetime.now(timezone.utc).isoformat(timespec="seconds")
        return KeyVersion(created=created, fingerprint=fingerprint_of(secret, domain, version), secret=written)

    @staticmethod
    def _with(document: Document, name: str, domain: DomainKeys) -> Document:
        return document.model_copy(update={"domains": {**document.domains, name: domain}})

    def _change(self, change: Callable[[Document], Document]) -> None:
        def changed(text: str | None) -> str:
            if text is None:
                raise KeyringError(f"there is no keyring {self._store} any more: restore it from your backup")
            now = self._parsed(text)
            if now.moved is not None:
                raise KeyringError(
                    f"keyring {self._store} has moved to {now.moved}: name that one under 'keys' in the contract"
                )
            return change(now).text()

        self._document = self._parsed(self._store.change(changed))

    def _parsed(self, text: str) -> Document:
        return parsed(text, str(self._store))

    def _damaged(self) -> KeyringError:
        return damaged(str(self._store))


def fingerprint_of(secret: bytes, domain: str, version: int) -> str:
    """Return the fingerprint (hex) that identifies a secret without revealing it."""
    return derive(secret, "fingerprint", domain, version).hex()
