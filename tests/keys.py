"""Keys in memory, of secrets that a test states."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from dataward.errors import KeyringError
from dataward.keys import Purpose, derive, signing_key


@dataclass(frozen=True)
class Ring:
    """The same secrets for every domain, by version."""

    now: int
    secrets: dict[int, bytes]

    def current(self, domain: str) -> int:
        return self.now

    def window(self, domain: str) -> None:
        return None

    def key(self, purpose: Purpose, domain: str, version: int) -> bytes:
        return derive(self.secrets[version], purpose, domain, version)

    def public_key(self, domain: str, version: int) -> Ed25519PublicKey:
        if version not in self.secrets:
            raise KeyringError(f"there is no version {version} of domain '{domain}'")
        return signing_key(self, domain, version).public_key()
