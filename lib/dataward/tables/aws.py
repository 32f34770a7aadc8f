"""Read the protection settings of a bucket in S3: encryption, TLS, versions, Object Lock, public access, logging."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from dataward.contract.places import bucket_and_key
from dataward.errors import UsageError

__all__ = ["StorageState", "bucket_of", "clock_skew", "storage_state"]

ABSENT = {
    "ServerSideEncryptionConfigurationNotFoundError",
    "NoSuchBucketPolicy",
    "ObjectLockConfigurationNotFoundError",
    "NoSuchPublicAccessBlockConfiguration",
    "NoSuchLifecycleConfiguration",
}


@dataclass(frozen=True)
class StorageState:
    """Settings of one bucket; None where a setting is unknown, and ``unread`` gives the reason.

    Attributes:
        encryption: ``AES256``, ``aws:kms`` or ``aws:kms:dsse``; ``key``: its KMS key, empty for S3's own.
        lock: Object Lock's default mode and days, such as ``COMPLIANCE 365``; ``on``: no default; empty: off.
        tls_only: whether the bucket's policy refuses requests without TLS.
        plaintext: whether a signed request over plain HTTP was answered; None: not tried.
        public: whether the policy is public, or public access is not blocked.
        expires: prefixes, with the days after which a lifecycle rule deletes current objects below them.
    """

    bucket: str
    encryption: str | None = None
    key: str = ""
    versioning: bool | None = None
    lock: str | None = None
    tls_only: bool | None = None
    plaintext: bool | None = None
    public: bool | None = None
    logging: bool | None = None
    expires: tuple[tuple[str, int], ...] = ()
    unread: tuple[str, ...] = ()

    def lines(self) -> tuple[tuple[str, bool, str], ...]:
        """Return (setting, whether it is safe, its value in words) of every setting, for reports beside a proof."""
        kms = (self.encryption or "").startswith("aws:kms")
        return (
            ("encryption", kms, f"{self.encryption or 'not known'}{f' with {self.key}' if self.key else ''}"),
            ("tls", bool(self.tls_only), _words(self.tls_only, "only TLS is answered", "plain HTTP is answered")),
            ("versions", bool(self.versioning), _words(self.versioning, "kept", "an overwritten object is gone")),
            ("lock", bool(self.lock), "not known" if self.lock is None else self.lock or "off"),
            ("public", self.public is False, _words(self.public, "reachable from outside", "blocked")),
            ("logging", bool(self.logging), _words(self.logging, "on", "off")),
        )


def _words(value: bool | None, yes: str, no: str) -> str:
    return "not known" if value is None else yes if value else no


def bucket_of(path: str) -> str:
    """Return the bucket of an s3, s3a or s3n URI; empty for any other path."""
    found = bucket_and_key(path)
    return found[0] if found else ""


def storage_state(path: str, try_plaintext: bool = False) -> StorageState:
    """Read the settings of the bucket of a path.

    Args:
        path: an s3, s3a or s3n URI.
        try_plaintext: send one signed request over plain HTTP, to see whether it is answered.

    Raises:
        UsageError: the path is not in S3.
    """
    bucket = bucket_of(path)
    if not bucket:
        raise UsageError(f"{path} is not in S3: there is no bucket whose settings could be read")
    s3 = _client()
    unread: list[str] = []
    unreached: list[str] = []

    def ask(what: str, call: Callable[[], Any], absent: Any) -> Any:
        if unreached:
            return None
        try:
            return call()
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", "?"))
            if code in ABSENT:
                return absent
            unread.append(f"{what}: AWS answered {code}")
        except BotoCoreError as error:
            unreached.append(what)  # nor will it be for the next setting
            unread.append(f"{what} and the settings after it: AWS could not be reached ({type(error).__name__})")
        return None

    encryption = ask("encryption", lambda: _encryption(s3.get_bucket_encryption(Bucket=bucket)), ("", ""))
    versioning = ask("versioning", lambda: s3.get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled", False)
    lock = ask("Object Lock", lambda: _lock(s3.get_object_lock_configuration(Bucket=bucket)), "")
    policy = ask("policy", lambda: json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"]), {})
    blocked = ask("public access", lambda: _blocked(s3.get_public_access_block(Bucket=bucket)), False)
    logging = ask("logging", lambda: "LoggingEnabled" in s3.get_bucket_logging(Bucket=bucket), False)
    lifecycle = ask("lifecycle", lambda: _expires(s3.get_bucket_lifecycle_configuration(Bucket=bucket)), {})
    answered = None
    if try_plaintext and not unreached:
        answered = _plaintext(bucket)
    return StorageState(
        bucket,
        encryption=encryption and (encryption[0] or None),
        key=encryption[1] if encryption else "",
        versioning=versioning,
        lock=lock,
        tls_only=None if policy is None else refuses_plaintext(policy),
        plaintext=answered,
        public=None if blocked is None else not blocked,
        logging=logging,
        expires=tuple((lifecycle or {}).items()),
        unread=tuple(unread),
    )


def clock_skew() -> float | None:
    """Return the seconds by which this machine's clock is ahead of AWS; None where AWS cannot be reached."""
    try:
        sent = datetime.now(timezone.utc)
        answer = _client("sts").get_caller_identity()
        received = datetime.now(timezone.utc)
        theirs = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    except (BotoCoreError, ClientError, KeyError, ValueError):
        return None
    return ((sent + (received - sent) / 2) - theirs).total_seconds()


def refuses_plaintext(policy: Mapping[str, Any]) -> bool:
    """Return whether a bucket policy denies every request without TLS to everybody."""
    for statement in _listed(policy.get("Statement")):
        condition = {k.lower(): v for k, v in statement.get("Condition", {}).get("Bool", {}).items()}
        principal = statement.get("Principal")
        everybody = "*" in _listed(principal.get("AWS") if isinstance(principal, Mapping) else principal)
        everything = {"s3:*", "*"} & {*_listed(statement.get("Action"))}
        secure = [str(value).lower() for value in _listed(condition.get("aws:securetransport"))]
        if statement.get("Effect") == "Deny" and everybody and everything and secure == ["false"]:
            return True
    return False


def _listed(value: Any) -> list[Any]:
    """Return a value of a policy as a list: AWS takes one value and a list of one for the same."""
    return [] if value is None else value if isinstance(value, list) else [value]


def _client(service: str = "s3", **more: Any) -> Any:
    config = Config(retries={"mode": "standard", "total_max_attempts": 3}, connect_timeout=5, read_timeout=10)
    return boto3.client(service, config=config, **more)


def _plaintext(bucket: str) -> bool | None:
    try:
        _client(use_ssl=False).list_objects_v2(Bucket=bucket, MaxKeys=1)
    except ClientError as error:
        code = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return False if code == 403 else None
    except BotoCoreError:
        return None
    return True


def _encryption(answer: Mapping[str, Any]) -> tuple[str, str]:
    rules = answer["ServerSideEncryptionConfiguration"]["Rules"]
    found: Mapping[str, Any] = next(
        (rule["ApplyServerSideEncryptionByDefault"] for rule in rules if "ApplyServerSideEncryptionByDefault" in rule),
        {},
    )
    return found.get("SSEAlgorithm", ""), found.get("KMSMasterKeyID", "")


def _lock(answer: Mapping[str, Any]) -> str:
    found = answer["ObjectLockConfiguration"]
    if found.get("ObjectLockEnabled") != "Enabled":
        return ""
    default = found.get("Rule", {}).get("DefaultRetention", {})
    days = default.get("Days") or 365 * default.get("Years", 0)
    return f"{default['Mode']} {days}" if default else "on"


def _blocked(answer: Mapping[str, Any]) -> bool:
    found = answer["PublicAccessBlockConfiguration"]
    names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    return all(found.get(name) for name in names)


def _expires(answer: Mapping[str, Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for rule in answer.get("Rules", ()):
        days = rule.get("Expiration", {}).get("Days")
        if days and rule.get("Status") == "Enabled":
            prefix = rule.get("Filter", {}).get("Prefix", rule.get("Prefix", ""))
            found[prefix or ""] = min(days, found.get(prefix or "", days))
    return found
