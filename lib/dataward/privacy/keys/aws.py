"""AWS: secrets wrapped by KMS (envelope encryption), and a keyring that lies in S3.

A secret is a data key of KMS (``GenerateDataKey``, AES-256), bound to an encryption context of env, domain, purpose and
version; only its wrapped form is written. It is unwrapped (``Decrypt``) once per version and driver run. KMS is asked for
the state of the key that wraps it once per run: a key that is disabled or about to be deleted is refused here as well.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from dataward.errors import KeyringError

__all__ = ["Kms", "S3Object", "caller"]

TRIES = 8  # of other writers who were faster
ATTEMPTS = 8  # of one call; botocore waits longer after each (its "standard" mode)

REMEDIES = {
    "AccessDenied": "grant this role kms:Decrypt, kms:GenerateDataKey and kms:DescribeKey on the key (or the s3 action)",
    "AccessDeniedException": "grant this role kms:Decrypt, kms:GenerateDataKey and kms:DescribeKey on the key",
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


def _asked(what: str, call: Callable[[], Any]) -> Any:
    """What AWS answers, or a KeyringError that says what was asked and what to do."""
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
    """The ARN of who asks, as STS sees it.

    Raises:
        KeyringError: STS does not say.
    """
    return str(_asked("sts GetCallerIdentity", lambda: _client("sts").get_caller_identity())["Arn"])


@dataclass
class Kms:
    """Secrets wrapped by a KMS key."""

    key: str
    env: str
    lazily: bool = False
    _kms: Any = field(default=None, repr=False)

    def fresh(self, domain: str, version: int) -> tuple[bytes, str]:
        kms, context = self._ready(), self._context(domain, version)
        made = _asked(
            f"kms GenerateDataKey with {self.key}",
            lambda: kms.generate_data_key(KeyId=self.key, KeySpec="AES_256", EncryptionContext=context),
        )
        return made["Plaintext"], base64.b64encode(made["CiphertextBlob"]).decode()

    def unwrap(self, domain: str, version: int, written: str) -> bytes:
        try:
            wrapped = base64.b64decode(written, validate=True)
        except binascii.Error:
            return b""  # the keyring says that it is damaged
        kms, context = self._ready(), self._context(domain, version)
        what = f"kms Decrypt of domain '{domain}' version {version} with {self.key}"
        opened = _asked(what, lambda: kms.decrypt(CiphertextBlob=wrapped, KeyId=self.key, EncryptionContext=context))
        return bytes(opened["Plaintext"])

    def _context(self, domain: str, version: int) -> dict[str, str]:
        """``purpose`` is what the data key is for: deriving the keys of all purposes."""
        return {"env": self.env, "domain": domain, "purpose": "derivation", "version": str(version)}

    def _ready(self) -> Any:
        """The client, once KMS has said that the key is enabled (an emulator may decrypt with one that is not)."""
        if self._kms is None:
            kms = _client("kms")
            found = _asked(f"kms DescribeKey {self.key}", lambda: kms.describe_key(KeyId=self.key))
            state = found["KeyMetadata"]["KeyState"]
            if state != "Enabled":
                raise KeyringError(
                    f"kms key {self.key} is in state {state}: enable it, or cancel its deletion. A deleted key cannot be "
                    "brought back, nor what it protects"
                )
            self._kms = kms
        return self._kms


@dataclass(frozen=True)
class S3Object:
    """A keyring's text in S3, changed only where nobody else has changed it since (conditional writes)."""

    uri: str

    def __str__(self) -> str:
        return self.uri

    def read(self) -> str | None:
        found = self._got()
        return found[0] if found else None

    def change(self, change: Callable[[str | None], str]) -> str:
        bucket, key = self._place
        for _ in range(TRIES):
            found = self._got()
            text = change(found[0] if found else None)
            condition = {"IfMatch": found[1]} if found else {"IfNoneMatch": "*"}
            put = partial(_client("s3").put_object, Bucket=bucket, Key=key, Body=text.encode(), **condition)
            try:
                _asked(f"s3 PutObject {self.uri}", put)
            except KeyringError as error:
                if "PreconditionFailed" in str(error) or "ConditionalRequestConflict" in str(error):
                    continue
                raise
            return text
        raise KeyringError(f"keyring {self.uri}: another writer was always faster; try again")

    @property
    def _place(self) -> tuple[str, str]:
        bucket, _, key = self.uri.removeprefix("s3://").partition("/")
        return bucket, key

    def _got(self) -> tuple[str, str] | None:
        bucket, key = self._place
        s3 = _client("s3")

        def get() -> tuple[str, str] | None:
            try:
                found = s3.get_object(Bucket=bucket, Key=key)
                return found["Body"].read().decode(errors="replace"), found["ETag"]
            except s3.exceptions.NoSuchKey:
                return None

        answer: tuple[str, str] | None = _asked(f"s3 GetObject {self.uri}", get)
        return answer
