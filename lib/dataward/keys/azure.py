"""Wrap secrets with Azure Key Vault or Managed HSM, and sign with its keys (REST API 7.4).

The credentials are those of ``azure-identity``'s default chain: the environment (``AZURE_...``), a workload or managed identity,
the Azure CLI. A key is named by its URL, ``https://NAME.vault.azure.net/keys/KEY``.

RSA keys wrap by RSA-OAEP-256, which takes no associated data: the context's SHA-256 is wrapped with the secret and compared when it is
unwrapped. AES keys (Managed HSM) encrypt by AES-256-GCM with the context as associated data.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from azure.core.exceptions import AzureError
from azure.identity import DefaultAzureCredential
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey, EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from dataward.errors import KeyringError
from dataward.keys.binding import bound_bytes
from dataward.keys.keyring import SECRET, GivenSecrets
from dataward.keys.web import Service, understood

__all__ = ["KeyVault", "KeyVaultSigner"]

API = "api-version=7.4"

REMEDIES = {
    400: "the keyring was wrapped for another key, or it was changed",
    401: "its credentials are wrong, have expired, or are of another tenant",
    403: "give this identity the role 'Key Vault Crypto User' (or the permission get, wrapKey, unwrapKey), check the vault's "
    "firewall, and that the key is enabled and within its dates",
    404: "check the vault's and the key's name; a purged key cannot be brought back, a deleted one can be recovered",
    409: "the key is being deleted or recovered: wait, and rerun",
}


def _service(url: str) -> tuple[Service, str]:
    """Return the vault of a key's URL, and the path of the key."""
    parts = urlsplit(url)
    host = f"{parts.scheme}://{parts.netloc}"
    scope = f"https://{(parts.hostname or '').partition('.')[2]}/.default"
    credential = DefaultAzureCredential()

    def headers() -> Mapping[str, str]:
        try:
            return {"Authorization": f"Bearer {credential.get_token(scope).token}"}
        except (AzureError, ValueError, OSError) as error:
            raise KeyringError(
                f"Azure Key Vault at {host}: there is no token for {scope} ({type(error).__name__}); check the identity: "
                "AZURE_CLIENT_ID and the other variables of azure-identity, the managed identity, or 'az login'"
            ) from None

    return Service("Azure Key Vault", host, headers, REMEDIES), parts.path.rstrip("/")


def _url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: Any) -> bytes:
    """Return the bytes of base64url without padding."""
    spelled = str(text)
    return base64.urlsafe_b64decode(spelled + "=" * (-len(spelled) % 4))


@dataclass
class KeyVault(GivenSecrets):
    """Secrets wrapped by a key of a vault."""

    key: str
    env: str
    lazily: bool = False

    _vault: tuple[Service, str] | None = field(default=None, repr=False)

    def wrap(self, domain: str, version: int, secret: bytes) -> str:
        """Wrap a given secret by the key's named version, or its newest.

        Raises:
            KeyringError: the vault refused, could not be reached, or the key does not wrap.
        """
        found = self._call(f"get key {self.key}", "GET", "")
        with understood(f"Azure Key Vault get key {self.key}"):
            kind, newest = str(found["key"]["kty"]), str(found["key"]["kid"]).rpartition("/")[2]
            enabled = (found.get("attributes") or {}).get("enabled", True)
        if not enabled:
            raise KeyringError(f"Azure Key Vault key {self.key} is disabled: enable it")
        bound = bound_bytes(self.env, domain, version)
        fields: tuple[str, ...]
        if kind.startswith("RSA"):
            sent = {"alg": "RSA-OAEP-256", "value": _url64(secret + hashlib.sha256(bound).digest())}
            operation, fields = "wrapkey", ("value",)
        elif kind.startswith("oct"):
            sent = {"alg": "A256GCM", "value": _url64(secret), "aad": _url64(bound)}
            operation, fields = "encrypt", ("value", "iv", "tag")
        else:
            raise KeyringError(
                f"Azure Key Vault key {self.key} is of type {kind}, which does not wrap: create an RSA key"
            )
        answer = self._call(f"{operation} with {self.key}", "POST", f"/{operation}", sent, newest)
        with understood(f"Azure Key Vault {operation} with {self.key}"):
            return ".".join((sent["alg"], newest, *(answer[name] for name in fields)))

    def unwrap(self, domain: str, version: int, written: str) -> bytes:
        """Unwrap the secret of a keyring's text; empty where the text is damaged.

        Raises:
            KeyringError: the vault refused, could not be reached, or the secret was wrapped for another env, domain or version.
        """
        if not re.fullmatch(r"(RSA-OAEP-256(\.[A-Za-z0-9_-]+){2}|A256GCM(\.[A-Za-z0-9_-]+){4})", written):
            return b""  # the keyring reports the damage
        alg, wrapped_by, value, *more = written.split(".")
        bound = bound_bytes(self.env, domain, version)
        sent = {"alg": alg, "value": value}
        if more:
            sent |= {"iv": more[0], "tag": more[1], "aad": _url64(bound)}
        operation = "decrypt" if more else "unwrapkey"
        what = f"{operation} of domain '{domain}' version {version} with {self.key}"
        answer = self._call(what, "POST", f"/{operation}", sent, wrapped_by)
        with understood(f"Azure Key Vault {what}"):
            opened = _bytes(answer["value"])
        if not more and not hmac.compare_digest(opened[SECRET:], hashlib.sha256(bound).digest()):
            raise KeyringError(
                f"Azure Key Vault {what}: the secret was wrapped for another env, domain or version; use the keyring as it was made"
            )
        return opened[:SECRET]

    def _call(
        self, what: str, method: str, path: str, body: Mapping[str, str] | None = None, version: str = ""
    ) -> dict[str, Any]:
        if self._vault is None:
            self._vault = _service(self.key)
        vault, place = self._vault
        key = "/".join(place.split("/")[:3]) + f"/{version}" if version else place
        return vault.call(f"Azure Key Vault {what}", method, f"{key}{path}?{API}", body)


@dataclass(frozen=True)
class KeyVaultSigner:
    """An EC P-256 key of a vault that signs statements by ES256; the URL names its version."""

    key: str

    @cached_property
    def _vault(self) -> tuple[Service, str]:
        return _service(self.key)

    @cached_property
    def public(self) -> EllipticCurvePublicKey:
        """The public key for verification, read once.

        Raises:
            KeyringError: the vault refused, could not be reached, or the key is of another kind.
        """
        vault, place = self._vault
        what = f"Azure Key Vault get key {self.key}"
        answer = vault.call(what, "GET", f"{place}?{API}")
        with understood(what):
            key = answer["key"]
            if key.get("crv") == "P-256":
                x, y = (int.from_bytes(_bytes(key[name]), "big") for name in ("x", "y"))
                return EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()
        raise KeyringError(f"Azure Key Vault key {self.key} does not sign by ES256: create an EC key on curve P-256")

    @property
    def publics(self) -> tuple[EllipticCurvePublicKey, ...]:
        """The key's public keys: one, as the URL names a version."""
        return (self.public,)

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message (ASN.1 DER).

        Raises:
            KeyringError: the vault refused, or could not be reached.
        """
        vault, place = self._vault
        sent = {"alg": "ES256", "value": _url64(hashlib.sha256(message).digest())}
        what = f"Azure Key Vault sign with {self.key}"
        answer = vault.call(what, "POST", f"{place}/sign?{API}", sent)
        with understood(what):
            raw = _bytes(answer["value"])
        if len(raw) != 64:
            raise KeyringError(f"{what}: the answer is no ES256 signature")
        return encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
