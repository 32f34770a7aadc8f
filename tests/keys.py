"""Keys in memory, of secrets that a test states; and what holds of a keyring in every service that keeps it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from dataward.contract import Keys
from dataward.errors import KeyringError
from dataward.keys import Purpose, create_keyring, derive, open_keys, signing_key


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


RING = Ring(1, {1: b"s" * 32})
TWO_VERSIONS = Ring(1, {1: b"s" * 32, 2: b"t" * 32})
STRANGER = Ring(1, {1: b"x" * 32})
"""Keys of somebody else."""
THIRD_VERSION = Ring(3, {3: bytes(range(32))})
ZEROS = Ring(1, {1: bytes(32)})


def takes_writers_in_turn(named: Keys) -> None:
    """It is created once, and of four writers at once each adds its domain."""
    create_keyring(named)
    with pytest.raises(KeyringError, match="never overwritten"):
        create_keyring(named)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: open_keys(named).add_domain(f"d{n}"), range(4)))
    ring = open_keys(named)
    assert sorted(ring.domains) == ["d0", "d1", "d2", "d3"]
    assert not any(ring.trouble(domain, 1) for domain in ring.domains)
