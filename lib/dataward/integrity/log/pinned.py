"""Verify a log with pinned public keys, without a keyring."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from dataward.errors import KeyringError
from dataward.integrity.canonical import MALFORMED
from dataward.integrity.log.log import Log
from dataward.integrity.log.notes import Verifier

__all__ = ["PinnedKeys"]


class PinnedKeys:
    """The pinned keys of a log.

    The folder names the key of each domain and version; this is accepted only for pinned keys.
    """

    def __init__(self, log: Log, pinned: Iterable[Verifier]) -> None:
        """Read the folder's list of keys."""
        texts = {one.vkey: one.key for one in pinned}
        self._keys: dict[tuple[str, int], Ed25519PublicKey] = {}
        for name in log.store.names("keys"):
            with suppress(*MALFORMED):
                named = json.loads(log.store.read(name) or b"{}")
                if str(named["vkey"]) in texts:
                    self._keys[str(named["domain"]), int(named["version"])] = texts[str(named["vkey"])]

    def public_key(self, domain: str, version: int) -> Ed25519PublicKey:
        """Return the key that verifies signatures of a version.

        Raises:
            KeyringError: the key was not pinned.
        """
        if (domain, version) not in self._keys:
            raise KeyringError(f"the key of domain '{domain}' version {version} is not among the keys that were given")
        return self._keys[domain, version]
