"""Wrap secrets with AWS KMS (envelope encryption), and store a keyring in S3.

A secret is a data key of KMS (``GenerateDataKey``, AES-256), bound to an encryption context of env, domain, purpose and
version; only its wrapped form is written. It is unwrapped (``Decrypt``) once per version and driver run. The state of the
wrapping key is read once per run; a key that is disabled or scheduled for deletion is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from dataward.errors import KeyringError
from dataward.keys.binding import bound_to
from dataward.keys.swapped import Swapped

__all__ = ["Kms", "KmsSigner", "S3Object", "caller"]

ATTEMPTS = 8  # of one call, with exponential backoff (botocore's "standard" mode)

REMEDIES = {
    "AccessDenied": "grant this role kms:Decrypt, kms:GenerateDataKey and kms:DescribeKey on the key (or the s3 action)",
    "AccessDeniedException": "grant this role kms:Decrypt, kms:GenerateDataKey and kms:DescribeKey on the key (to migrate to it, also "
    "kms:Encrypt)",
    "DisabledException": "enable the key in KMS",
    "IncorrectKeyException": "name the key that wrapped this keyring",
    "InvalidCiphertextException": "the keyring was wrapped for another env, domain or key, or it was changed",
    "KMSInvalidStateException": "the key is disabled or to be deleted: enable it, or cancel its deletion",
    "NotFoundException": "check the key's id and the region; a deleted key cannot be brought back",
    "ThrottlingException": "KMS is throttled: rerun, or ask for a higher quota",
    "NoSuchBucket": "create the bucket, or correct 'path'",
}


def _client(service: str) -> Any:
    attempts = int(os.environ.get("AWS_MAX_ATTEMPTS", ATTEMPTS))
    retries = {"mode": "standard", "total_max_attempts": attempts}
    return boto3.client(service, config=Config(retries=retries, connect_timeout=5, read_timeout=20))


def _call(what: str, call: Callable[[], Any]) -> Any:
    """Call AWS; an error becomes a KeyringError that names the operation and the remedy."""
    try:
        return call()
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "?"))
        remedy = REMEDIES.get(code, "see the AWS documentation of this error")
        raise KeyringError(f"{what}: AWS answered {code}; {remedy}") from None
    except BotoCoreError as error:
        raise KeyringError(
            f"{what}: AWS could not be reached ({type(error).__name__}); check network, region and credentials, and rerun"
        ) from None


def caller() -> str:
    """Return the ARN of the caller's identity from STS.

    Raises:
        KeyringError: STS refused, or could not be reached.
    """
    return str(_call("sts GetCallerIdentity", lambda: _client("sts").get_caller_identity())["Arn"])


@dataclass
class Kms:
    """Secrets wrapped by a KMS key."""

    key: str
    env: str
    lazily: bool = False
    _kms: Any = field(default=None, repr=False)

    def fresh(self, domain: str, version: int) -> tuple[bytes, str]:
        """Generate a data key; returns the secret and its wrapped form (base64).

        Raises:
            KeyringError: KMS refused, or could not be reached.
        """
        kms, context = self._ready(), bound_to(self.env, domain, version)
        data_key = _call(
            f"kms GenerateDataKey with {self.key}",
            lambda: kms.generate_data_key(KeyId=self.key, KeySpec="AES_256", EncryptionContext=context),
        )
        return data_key["Plaintext"], base64.b64encode(data_key["CiphertextBlob"]).decode()

    def wrap(self, domain: str, version: int, secret: bytes) -> str:
        """Wrap a given secret, by kms:Encrypt; returns its wrapped form (base64).

        Raises:
            KeyringError: KMS refused, or could not be reached.
        """
        kms, context = self._ready(), bound_to(self.env, domain, version)
        what = f"kms Encrypt of domain '{domain}' version {version} with {self.key}"
        wrapped = _call(what, lambda: kms.encrypt(KeyId=self.key, Plaintext=secret, EncryptionContext=context))
        return base64.b64encode(wrapped["CiphertextBlob"]).decode()

    def unwrap(self, domain: str, version: int, written: str) -> bytes:
        """Unwrap the secret of a keyring's text; empty where the text is damaged.

        Raises:
            KeyringError: KMS refused, or could not be reached.
        """
        try:
            wrapped = base64.b64decode(written, validate=True)
        except binascii.Error:
            return b""  # the keyring reports the damage
        kms, context = self._ready(), bound_to(self.env, domain, version)
        what = f"kms Decrypt of domain '{domain}' version {version} with {self.key}"
        opened = _call(what, lambda: kms.decrypt(CiphertextBlob=wrapped, KeyId=self.key, EncryptionContext=context))
        return bytes(opened["Plaintext"])

    def _ready(self) -> Any:
        """Return the client after a check that the key is enabled (an emulator may decrypt with a disabled key)."""
        if self._kms is None:
            kms = _client("kms")
            description = _call(f"kms DescribeKey {self.key}", lambda: kms.describe_key(KeyId=self.key))
            state = description["KeyMetadata"]["KeyState"]
            if state != "Enabled":
                raise KeyringError(
                    f"kms key {self.key} is in state {state}: enable it, or cancel its deletion. A deleted key cannot be "
                    "brought back, nor what it protects"
                )
            self._kms = kms
        return self._kms


@dataclass(frozen=True)
class KmsSigner:
    """An asymmetric KMS key (ECC_NIST_P256, SIGN_VERIFY) that signs statements; the private key never leaves KMS."""

    key: str

    @cached_property
    def public(self) -> EllipticCurvePublicKey:
        """The public key for verification, read once.

        Raises:
            KeyringError: KMS refused, could not be reached, or the key is of another kind.
        """
        answer = _call(f"kms GetPublicKey of {self.key}", lambda: _client("kms").get_public_key(KeyId=self.key))
        if "ECDSA_SHA_256" not in answer.get("SigningAlgorithms", ()):
            raise KeyringError(f"kms key {self.key} signs no ECDSA_SHA_256: create one with --key-spec ECC_NIST_P256")
        found = load_der_public_key(answer["PublicKey"])
        assert isinstance(found, EllipticCurvePublicKey)  # noqa: S101 - its algorithm says so
        return found

    @property
    def publics(self) -> tuple[EllipticCurvePublicKey, ...]:
        """The key's public keys: one."""
        return (self.public,)

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message (ASN.1 DER).

        Raises:
            KeyringError: KMS refused, or could not be reached.
        """
        digest = hashlib.sha256(message).digest()
        request = {"KeyId": self.key, "Message": digest, "MessageType": "DIGEST", "SigningAlgorithm": "ECDSA_SHA_256"}
        return bytes(_call(f"kms Sign with {self.key}", lambda: _client("kms").sign(**request))["Signature"])


@dataclass(frozen=True)
class S3Object(Swapped[str]):
    """A keyring in S3, changed by conditional writes on its ETag."""

    def _replace(self, text: str, version: str | None) -> bool:
        bucket, key = self._place
        condition = {"IfMatch": version} if version is not None else {"IfNoneMatch": "*"}
        put = partial(_client("s3").put_object, Bucket=bucket, Key=key, Body=text.encode(), **condition)
        try:
            _call(f"s3 PutObject {self.uri}", put)
        except KeyringError as error:
            if "PreconditionFailed" in str(error) or "ConditionalRequestConflict" in str(error):
                return False
            raise
        return True

    @property
    def _place(self) -> tuple[str, str]:
        bucket, _, key = self.uri.removeprefix("s3://").partition("/")
        return bucket, key

    def _fetch(self) -> tuple[str, str] | None:
        bucket, key = self._place
        s3 = _client("s3")

        def get() -> tuple[str, str] | None:
            try:
                response = s3.get_object(Bucket=bucket, Key=key)
                return response["Body"].read().decode(errors="replace"), response["ETag"]
            except s3.exceptions.NoSuchKey:
                return None

        answer: tuple[str, str] | None = _call(f"s3 GetObject {self.uri}", get)
        return answer
