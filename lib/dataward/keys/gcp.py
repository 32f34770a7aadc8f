"""Wrap secrets with Google Cloud KMS, and sign with its keys (REST API v1).

The credentials are Google's application default credentials (``GOOGLE_APPLICATION_CREDENTIALS``, a workload identity, the metadata
server, ``gcloud auth application-default login``). Every secret is bound to its context as additional authenticated data. Requests and
answers carry CRC32C checksums, which both sides compare, as Google recommends.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import google.auth
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request

from dataward.errors import KeyringError
from dataward.keys.binding import bound_bytes
from dataward.keys.keyring import GivenSecrets
from dataward.keys.web import Service, understood

__all__ = ["CloudKms", "CloudKmsSigner", "crc32c"]

SCOPE = "https://www.googleapis.com/auth/cloudkms"

REMEDIES = {
    400: "the keyring was wrapped for another env, domain or key, it was changed, or the key or its version is disabled",
    403: "grant this identity roles/cloudkms.cryptoKeyEncrypterDecrypter on the key (to sign: roles/cloudkms.signerVerifier), "
    "and check that the Cloud KMS API is enabled",
    404: "check the key's name: projects/P/locations/L/keyRings/R/cryptoKeys/K",
}


def _service() -> Service:
    """Return Cloud KMS; ``CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS`` names another endpoint, as for gcloud."""
    url = os.environ.get("CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS", "https://cloudkms.googleapis.com").rstrip("/")
    try:
        credentials, _ = google.auth.default(scopes=[SCOPE])
    except (GoogleAuthError, OSError, ValueError) as error:
        raise _unknown(error) from None

    def headers() -> Mapping[str, str]:
        try:
            if not credentials.valid:
                credentials.refresh(Request())  # type: ignore[no-untyped-call]
        except (GoogleAuthError, OSError, ValueError) as error:
            raise _unknown(error) from None
        named = getattr(credentials, "quota_project_id", None)
        return {"Authorization": f"Bearer {credentials.token}", **({"x-goog-user-project": named} if named else {})}

    return Service("Google Cloud KMS", f"{url}/v1", headers, REMEDIES)


def _unknown(error: Exception) -> KeyringError:
    return KeyringError(
        f"Google Cloud KMS: there are no usable credentials ({type(error).__name__}); check the application default credentials: "
        "GOOGLE_APPLICATION_CREDENTIALS, the service account, or 'gcloud auth application-default login'"
    )


def crc32c(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli, RFC 3720 appendix B.4) of some bytes."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def _sent(**fields: bytes) -> dict[str, str]:
    """Return fields in base64, each with its checksum."""
    encoded = {name: base64.b64encode(data).decode() for name, data in fields.items()}
    return encoded | {f"{name}Crc32c": str(crc32c(data)) for name, data in fields.items()}


def _received(what: str, answer: Mapping[str, Any], name: str) -> bytes:
    """Return a field's bytes after a comparison with their checksum.

    Raises:
        KeyringError: the field is missing, or was damaged on its way.
    """
    with understood(what):
        data, told = base64.b64decode(str(answer[name]), validate=True), int(answer[f"{name}Crc32c"])
    if not data or told != crc32c(data):
        raise KeyringError(f"{what}: the answer was damaged on its way ({name} does not match its CRC32C); rerun")
    return data


@dataclass
class CloudKms(GivenSecrets):
    """Secrets wrapped by a symmetric key: ``projects/P/locations/L/keyRings/R/cryptoKeys/K``."""

    key: str
    env: str
    lazily: bool = False
    _kms: Service | None = field(default=None, repr=False)

    def wrap(self, domain: str, version: int, secret: bytes) -> str:
        """Wrap a given secret by the key's primary version.

        Raises:
            KeyringError: KMS refused, could not be reached, or the request or answer was damaged on its way.
        """
        sent = _sent(plaintext=secret, additionalAuthenticatedData=bound_bytes(self.env, domain, version))
        what = f"Google Cloud KMS encrypt with {self.key}"
        answer = self._call(what, f"/{self.key}:encrypt", sent)
        if not (answer.get("verifiedPlaintextCrc32c") and answer.get("verifiedAdditionalAuthenticatedDataCrc32c")):
            raise KeyringError(f"{what}: the request was damaged on its way (KMS did not verify its CRC32C); rerun")
        return base64.b64encode(_received(what, answer, "ciphertext")).decode()

    def unwrap(self, domain: str, version: int, written: str) -> bytes:
        """Unwrap the secret of a keyring's text; empty where the text is damaged.

        Raises:
            KeyringError: KMS refused, could not be reached, or the answer was damaged on its way.
        """
        try:
            wrapped = base64.b64decode(written, validate=True)
        except binascii.Error:
            return b""  # the keyring reports the damage
        sent = _sent(ciphertext=wrapped, additionalAuthenticatedData=bound_bytes(self.env, domain, version))
        what = f"Google Cloud KMS decrypt of domain '{domain}' version {version} with {self.key}"
        return _received(what, self._call(what, f"/{self.key}:decrypt", sent), "plaintext")

    def _call(self, what: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        if self._kms is None:
            self._kms = _service()
        return self._kms.call(what, "POST", path, body)


@dataclass(frozen=True)
class CloudKmsSigner:
    """A version of an asymmetric key (EC_SIGN_P256_SHA256) that signs statements: ``.../cryptoKeyVersions/N``."""

    key: str

    @cached_property
    def _kms(self) -> Service:
        return _service()

    @cached_property
    def public(self) -> EllipticCurvePublicKey:
        """The public key for verification, read once.

        Raises:
            KeyringError: KMS refused, could not be reached, or the key is of another kind.
        """
        what = f"Google Cloud KMS public key of {self.key}"
        answer = self._kms.call(what, "GET", f"/{self.key}/publicKey")
        if answer.get("algorithm") != "EC_SIGN_P256_SHA256":
            raise KeyringError(
                f"{what}: its algorithm is {answer.get('algorithm')}; create a key of EC_SIGN_P256_SHA256"
            )
        with understood(what):
            text, told = str(answer["pem"]).encode(), int(answer["pemCrc32c"])
        if told != crc32c(text):
            raise KeyringError(f"{what}: the answer was damaged on its way (pem does not match its CRC32C); rerun")
        found = load_pem_public_key(text)
        assert isinstance(found, EllipticCurvePublicKey)  # noqa: S101 - its algorithm says so
        assert isinstance(found.curve, SECP256R1)  # noqa: S101 - its algorithm says so
        return found

    @property
    def publics(self) -> tuple[EllipticCurvePublicKey, ...]:
        """The key's public keys: one, as the name contains a version."""
        return (self.public,)

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message (ASN.1 DER).

        Raises:
            KeyringError: KMS refused, could not be reached, or the request or answer was damaged on its way.
        """
        digest, what = hashlib.sha256(message).digest(), f"Google Cloud KMS sign with {self.key}"
        sent = {"digest": {"sha256": base64.b64encode(digest).decode()}, "digestCrc32c": str(crc32c(digest))}
        answer = self._kms.call(what, "POST", f"/{self.key}:asymmetricSign", sent)
        if not answer.get("verifiedDigestCrc32c"):
            raise KeyringError(f"{what}: the request was damaged on its way (KMS did not verify its CRC32C); rerun")
        return _received(what, answer, "signature")
