"""Wrap secrets with HashiCorp Vault's transit engine, and keep a keyring in its KV engine (version 2).

The credentials are those of Vault's own tools: ``VAULT_ADDR``, ``VAULT_NAMESPACE``, ``VAULT_CACERT``, and ``VAULT_TOKEN``; or an AppRole
(``VAULT_ROLE_ID``, ``VAULT_SECRET_ID``), a Kubernetes role (``VAULT_K8S_ROLE``), ``~/.vault-token``, or an agent on this machine that
adds the token itself.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from dataward.errors import KeyringError
from dataward.keys.binding import bound_bytes
from dataward.keys.keyring import GivenSecrets
from dataward.keys.swapped import Swapped
from dataward.keys.web import LOOPBACK, Refused, Service, understood

__all__ = ["KvSecret", "Transit", "TransitSigner", "service"]

AEAD = ("aes256-gcm96", "aes128-gcm96", "chacha20-poly1305")
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")

REMEDIES = {
    403: "the token is wrong or has expired, or its policy does not permit this path",
    404: "check the mount and the name, and that the engine is enabled there",
    503: "Vault is sealed or in maintenance: unseal it, and rerun",
}


def service() -> Service:
    """Return the Vault of the environment.

    Raises:
        KeyringError: ``VAULT_ADDR`` is not set, or there are no credentials.
    """
    address = os.environ.get("VAULT_ADDR", "").rstrip("/")
    if not address:
        raise KeyringError("Vault: set VAULT_ADDR to its address, e.g. https://vault.example.com:8200")
    if os.environ.get("VAULT_SKIP_VERIFY", "").lower() in ("1", "true", "t"):
        raise KeyringError(
            "Vault: VAULT_SKIP_VERIFY is set, and a server that is not verified may be anybody: name its CA in VAULT_CACERT"
        )
    held = _credentials(address)

    def renewed() -> bool:
        """Log in again, or read the token's file again, where the token has expired."""
        before = dict(held)
        held.update(_credentials(address))
        return held != before

    return _service(address, held, renewed)


def _service(address: str, held: Mapping[str, str], renewed: Callable[[], bool] = lambda: False) -> Service:
    namespace = os.environ.get("VAULT_NAMESPACE")
    more = {"X-Vault-Request": "true", **({"X-Vault-Namespace": namespace} if namespace else {})}
    authorities = os.environ.get("VAULT_CACERT")
    return Service("Vault", f"{address}/v1", lambda: {**more, **held}, REMEDIES, authorities, renewed)


def _credentials(address: str) -> dict[str, str]:
    """Return the header with the token, after a login where the environment names a role."""
    environ, kept = os.environ, Path.home() / ".vault-token"
    if token := environ.get("VAULT_TOKEN"):
        return {"X-Vault-Token": token}
    if role := environ.get("VAULT_ROLE_ID"):
        body = {"role_id": role, "secret_id": environ.get("VAULT_SECRET_ID", "")}
        return _login(address, environ.get("VAULT_APPROLE_MOUNT", "approle"), body)
    if role := environ.get("VAULT_K8S_ROLE"):
        try:
            account = ACCOUNT.read_text()
        except OSError as error:
            raise KeyringError(
                f"Vault: VAULT_K8S_ROLE is set, and {ACCOUNT} cannot be read ({error.strerror})"
            ) from None
        return _login(address, environ.get("VAULT_K8S_MOUNT", "kubernetes"), {"role": role, "jwt": account.strip()})
    try:
        return {"X-Vault-Token": kept.read_text().strip()}
    except OSError:
        if urlsplit(address).hostname in LOOPBACK:
            return {}
        raise KeyringError(
            f"Vault at {address}: there are no credentials. Set VAULT_TOKEN, VAULT_ROLE_ID and VAULT_SECRET_ID, or "
            "VAULT_K8S_ROLE, run 'vault login', or use a Vault agent on this machine"
        ) from None


def _login(address: str, mount: str, body: Mapping[str, str]) -> dict[str, str]:
    what = f"Vault login at auth/{mount}"
    answer = _service(address, {}).call(what, "POST", f"/auth/{quote(mount)}/login", body)
    with understood(what):
        return {"X-Vault-Token": str(answer["auth"]["client_token"])}


def _parts(named: str) -> tuple[str, str]:
    """Return mount and name of ``transit/people``; the mount may have several parts."""
    mount, _, name = named.strip("/").rpartition("/")
    return quote(mount or "transit"), quote(name, safe="")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@dataclass
class Transit(GivenSecrets):
    """Secrets wrapped by a key of the transit engine: ``MOUNT/NAME``."""

    key: str
    env: str
    lazily: bool = False
    _vault: Service | None = field(default=None, repr=False)

    def wrap(self, domain: str, version: int, secret: bytes) -> str:
        """Wrap a given secret; the key is read first, as Vault would create a missing one.

        Raises:
            KeyringError: Vault refused, could not be reached, or the key is not one of authenticated encryption.
        """
        mount, name = _parts(self.key)
        kind = self._call(f"read transit key {self.key}", "GET", f"/{mount}/keys/{name}")["data"].get("type")
        if kind not in AEAD:
            raise KeyringError(f"Vault transit key {self.key} is of type {kind}: create one of type aes256-gcm96")
        body = {"plaintext": _base64(secret), **self._bound(domain, version)}
        what = f"transit encrypt of domain '{domain}' version {version} with {self.key}"
        answer = self._call(what, "POST", f"/{mount}/encrypt/{name}", body)
        with understood(f"Vault {what}"):
            return str(answer["data"]["ciphertext"])

    def unwrap(self, domain: str, version: int, written: str) -> bytes:
        """Unwrap the secret of a keyring's text; empty where the text is damaged.

        Raises:
            KeyringError: Vault refused, or could not be reached.
        """
        if not re.fullmatch(r"vault:v\d+:[A-Za-z0-9+/=]+", written):
            return b""  # the keyring reports the damage
        mount, name = _parts(self.key)
        body = {"ciphertext": written, **self._bound(domain, version)}
        what = f"transit decrypt of domain '{domain}' version {version} with {self.key}"
        answer = self._call(what, "POST", f"/{mount}/decrypt/{name}", body)
        with understood(f"Vault {what}"):
            return base64.b64decode(answer["data"]["plaintext"], validate=True)

    def _bound(self, domain: str, version: int) -> dict[str, str]:
        """Return associated data, and the context that a key with derivation needs."""
        bound = _base64(bound_bytes(self.env, domain, version))
        return {"associated_data": bound, "context": bound}

    def _call(self, what: str, method: str, path: str, body: Mapping[str, str] | None = None) -> dict[str, Any]:
        if self._vault is None:
            self._vault = service()
        answer = self._vault.call(f"Vault {what}", method, path, body)
        if not isinstance(answer.get("data"), dict):
            raise KeyringError(f"Vault {what}: the answer has no data; check VAULT_ADDR")
        return answer


@dataclass(frozen=True)
class KvSecret(Swapped[int]):
    """A keyring in one secret of the KV engine, version 2: ``vault://MOUNT/PATH``; changed by check-and-set."""

    @cached_property
    def _vault(self) -> Service:
        return service()

    @property
    def _path(self) -> str:
        mount, _, path = self.uri.removeprefix("vault://").partition("/")
        return f"/{quote(mount)}/data/{quote(path)}"

    def _replace(self, text: str, version: int | None) -> bool:
        body = {"options": {"cas": version or 0}, "data": {"keyring": text}}
        try:
            self._vault.call(f"Vault kv write {self.uri}", "POST", self._path, body)
        except Refused as error:
            if error.status != 400:
                raise
            present = self._fetch()
            if (present[1] if present else None) == version:
                raise
            return present is not None and present[0] == text  # written, and only the answer was lost
        return True

    def _fetch(self) -> tuple[str, int] | None:
        try:
            data = self._vault.call(f"Vault kv read {self.uri}", "GET", self._path).get("data") or {}
            return str(data["data"]["keyring"]), int(data["metadata"]["version"])
        except Refused as error:
            if error.status != 404:
                raise
            if (deleted := (error.document.get("data") or {}).get("metadata")) is not None:
                raise KeyringError(
                    f"keyring {self.uri}: version {deleted.get('version')} of the secret was deleted; bring it back with 'vault kv "
                    "undelete'"
                ) from None
            return None
        except (KeyError, TypeError):
            raise KeyringError(
                f"keyring {self.uri}: the secret is not a keyring, or the engine is not KV version 2"
            ) from None


@dataclass(frozen=True)
class TransitSigner:
    """A key of the transit engine (``ed25519`` or ``ecdsa-p256``) that signs statements: ``MOUNT/NAME``."""

    key: str

    @cached_property
    def _vault(self) -> Service:
        return service()

    @cached_property
    def _versions(self) -> dict[int, Ed25519PublicKey | EllipticCurvePublicKey]:
        mount, name = _parts(self.key)
        what = f"Vault read transit key {self.key}"
        answer = self._vault.call(what, "GET", f"/{mount}/keys/{name}")
        with understood(what):
            data = answer["data"]
            if data["type"] in ("ed25519", "ecdsa-p256"):
                found = {int(number): _public(str(one["public_key"])) for number, one in data["keys"].items()}
                return {max(found): found[max(found)], **found}  # an error where there is no version
            kind = data["type"]
        raise KeyringError(f"Vault transit key {self.key} is of type {kind}: create one of type ecdsa-p256 or ed25519")

    @property
    def public(self) -> Ed25519PublicKey | EllipticCurvePublicKey:
        """The newest version's public key, read once.

        Raises:
            KeyringError: Vault refused, could not be reached, or the key is of another kind.
        """
        return self._versions[max(self._versions)]

    @property
    def publics(self) -> tuple[Ed25519PublicKey | EllipticCurvePublicKey, ...]:
        """The public keys of all versions, newest first."""
        return tuple(self._versions[number] for number in sorted(self._versions, reverse=True))

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message: 64 bytes by Ed25519, ASN.1 DER by ECDSA.

        Raises:
            KeyringError: Vault refused, or could not be reached.
        """
        mount, name = _parts(self.key)
        body: dict[str, Any] = {"input": _base64(message), "key_version": max(self._versions)}
        path = f"/{mount}/sign/{name}"
        if isinstance(self.public, EllipticCurvePublicKey):
            digest = Hash(SHA256())
            digest.update(message)
            body |= {"input": _base64(digest.finalize()), "prehashed": True, "marshaling_algorithm": "asn1"}
            path += "/sha2-256"
        what = f"Vault transit sign with {self.key}"
        answer = self._vault.call(what, "POST", path, body)
        with understood(what):
            return base64.b64decode(str(answer["data"]["signature"]).rpartition(":")[2], validate=True)


def _public(text: str) -> Ed25519PublicKey | EllipticCurvePublicKey:
    """Return a public key: PEM for ECDSA, base64 of 32 bytes for Ed25519."""
    if not text.startswith("-----"):
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text))
    found = load_pem_public_key(text.encode())
    assert isinstance(found, EllipticCurvePublicKey) and isinstance(found.curve, SECP256R1)  # noqa: S101, PT018 - its type says so
    return found
