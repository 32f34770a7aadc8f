"""The public keys that a verification trusts, from PEM files or from a keyring."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from dataward.contract import Keys
from dataward.errors import KeyringError, UsageError
from dataward.integrity.canonical import MALFORMED
from dataward.integrity.dsse import PublicKey, key_id, read_public_keys
from dataward.integrity.log.log import Log
from dataward.integrity.log.notes import Verifier
from dataward.keys import PublicKeys, service_signer

__all__ = ["Trust", "from_files", "from_keyring", "from_keys", "from_pem", "named_keys"]


@dataclass(frozen=True)
class Trust:
    """Trusted keys.

    Attributes:
        keys: by key ID in envelopes.
        versions: the keys of versions of key domains, for entries and checkpoints of the ledger.
        refused: for versions that the ledger names, why their keys could not be had.
    """

    keys: Mapping[str, PublicKey]
    versions: Mapping[tuple[str, int], Ed25519PublicKey] = field(default_factory=dict)
    refused: Mapping[tuple[str, int], str] = field(default_factory=dict)

    def public_key(self, domain: str, version: int) -> Ed25519PublicKey:
        """Return the key that verifies signatures of a version.

        Raises:
            KeyringError: the key is not among the trusted keys.
        """
        if (domain, version) not in self.versions:
            why = self.refused.get((domain, version))
            raise KeyringError(why or f"no trusted key is that of version {version} of domain '{domain}'")
        return self.versions[domain, version]


def named_keys(log: Log) -> dict[tuple[str, int], Verifier]:
    """Return the keys that the ledger names; anybody may have written them, so they are compared with trusted keys."""
    found = {}
    for name in log.store.names("keys"):
        with suppress(*MALFORMED):
            named = json.loads(log.store.read(name) or b"")
            found[str(named["domain"]), int(named["version"])] = Verifier.parsed(str(named["vkey"]))
    return found


def from_pem(log: Log, texts: Iterable[bytes]) -> Trust:
    """Trust the keys of PEM texts.

    Raises:
        KeyringError: a text contains no public key.
    """
    keys = read_public_keys(texts)
    versions = {name: one.key for name, one in named_keys(log).items() if key_id(one.key) in keys}
    return Trust(keys, versions)


def from_files(log: Log, paths: Iterable[str]) -> Trust:
    """Trust the keys of PEM files.

    Raises:
        KeyringError: a file contains no public key.
        UsageError: a file cannot be read.
    """
    texts = []
    for path in paths:
        try:
            texts.append(Path(path).read_bytes())
        except OSError as error:
            raise UsageError(f"public keys {path}: {error.strerror}") from None
    return from_pem(log, texts)


def from_keys(log: Log, named: Keys, ring: PublicKeys) -> Trust:
    """Trust the signing keys of a keyring and, where ``keys.sign`` of a file names one, the key in a service."""
    return from_keyring(log, ring, service_signer(named.sign).publics if named.sign else ())


def from_keyring(log: Log, ring: PublicKeys, others: Iterable[PublicKey] = ()) -> Trust:
    """Trust the signing keys of a keyring, and others such as a key in KMS."""
    versions, refused = {}, {}
    for domain, version in named_keys(log):
        try:
            versions[domain, version] = ring.public_key(domain, version)
        except KeyringError as error:
            refused[domain, version] = str(error)
    keys: dict[str, PublicKey] = {key_id(key): key for key in (*versions.values(), *others)}
    return Trust(keys, versions, refused)
