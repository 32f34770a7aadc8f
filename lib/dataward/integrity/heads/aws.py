"""Heads on AWS: objects under Object Lock in compliance mode, and events of a CloudWatch log stream."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from dataward.errors import ProofError, TargetError
from dataward.integrity.heads import checkpoint_of, extends
from dataward.integrity.heads.cloudtrail import Digest, Trail, digest_of, log_file, parsed
from dataward.integrity.heads.folder import name_of
from dataward.integrity.log.log import Log
from dataward.integrity.log.notes import Checkpoint, Note

__all__ = ["LockedObjects", "LogStream", "export_cloudtrail"]

PER_FILE = 1_000

REMEDIES = {
    "AccessDenied": "grant the role s3:PutObject, s3:PutObjectRetention, s3:GetObject and s3:ListBucket there",
    "AccessDeniedException": "grant the role logs:CreateLogStream, logs:PutLogEvents and logs:GetLogEvents there",
    "InvalidRequest": "the bucket needs Object Lock: it is switched on when a bucket is made, or by AWS later",
    "NoSuchBucket": "create the bucket, with Object Lock",
    "ResourceNotFoundException": "create the log group, with a retention as long as the seals have to be provable",
}


def _client(service: str) -> Any:
    return boto3.client(
        service,
        config=Config(retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=5, read_timeout=20),
    )


def _call(what: str, call: Callable[[], Any], ignored: str = "") -> Any:
    """Call AWS; convert an error to a TargetError with a remedy, and ``ignored`` (an error code) to None."""
    try:
        return call()
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "?"))
        if ignored and code == ignored:
            return None
        raise TargetError(
            f"{what}: AWS answered {code}; {REMEDIES.get(code, 'see the AWS documentation of this error')}"
        ) from None
    except BotoCoreError as error:
        raise TargetError(
            f"{what}: AWS could not be reached ({type(error).__name__}): check network, region and credentials"
        ) from None


class LockedObjects:
    """Objects that nobody, including the account's root, can replace or delete before their retention ends."""

    def __init__(self, url: str, origin: str, retain_days: int) -> None:
        """Parse the prefix."""
        self._bucket, _, prefix = url.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix.rstrip('/')}/" if prefix else ""
        self._origin, self._days = origin, retain_days
        self._s3 = _client("s3")

    def __str__(self) -> str:
        """Return the URL."""
        return f"s3://{self._bucket}/{self._prefix}"

    def newest(self) -> Note | None:
        """Return the largest checkpoint."""
        folder = self._prefix + name_of(self._origin, 0).rpartition("/")[0] + "/"
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=folder)
        keys = _call(f"list {self}", lambda: [one["Key"] for page in pages for one in page.get("Contents", ())])
        return self._read(max(keys)) if keys else None

    def keep(self, note: Note) -> str:
        """Put the object of the checkpoint's size under a lock, unless it exists."""
        key = self._prefix + name_of(self._origin, Checkpoint.parsed(note.text).size)
        until = datetime.now(timezone.utc) + timedelta(days=self._days)
        put = _call(f"put {self}", lambda: self._s3.put_object(
            Bucket=self._bucket, Key=key, Body=str(note).encode(), ContentType="text/plain; charset=utf-8", IfNoneMatch="*",
            ChecksumAlgorithm="SHA256", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until), "PreconditionFailed")  # fmt: skip
        if put is None and self._read(key).text != note.text:
            raise ProofError(
                f"s3://{self._bucket}/{key}: another checkpoint of this size is kept there: the log was forked"
            )
        held = _call(f"read the lock of {self}", lambda: self._s3.head_object(Bucket=self._bucket, Key=key))
        if held.get("ObjectLockMode") != "COMPLIANCE":
            raise TargetError(
                f"s3://{self._bucket}/{key}: it was written and is not locked: the bucket needs Object Lock"
            )
        return f"s3://{self._bucket}/{key}, locked until {held['ObjectLockRetainUntilDate']:%Y-%m-%d}"

    def _read(self, key: str) -> Note:
        body = _call(f"read {self}", lambda: self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read(65536))
        return checkpoint_of(body, f"s3://{self._bucket}/{key}")


class LogStream:
    """Events of a stream of an existing log group; the stream is named like the log."""

    def __init__(self, group: str, origin: str) -> None:
        """Set the group and the stream."""
        self._group, self._origin = group, origin
        self._stream = re.sub(r"[:*\s]", "-", origin)
        self._logs = _client("logs")

    def __str__(self) -> str:
        """Return group and stream."""
        return f"log stream {self._group}:{self._stream}"

    def newest(self) -> Note | None:
        """Return the checkpoint of the newest event."""
        found = _call(
            f"read {self}",
            lambda: self._logs.describe_log_streams(logGroupName=self._group, logStreamNamePrefix=self._stream),
        )
        if not any(one["logStreamName"] == self._stream for one in found["logStreams"]):
            return None
        where = {"logGroupName": self._group, "logStreamName": self._stream}
        events = _call(f"read {self}", lambda: self._logs.get_log_events(**where, startFromHead=False, limit=100))[
            "events"
        ]
        notes = [checkpoint_of(event["message"].encode(), str(self)) for event in events]
        return max(notes, key=lambda note: Checkpoint.parsed(note.text).size, default=None)

    def keep(self, note: Note) -> str:
        """Put an event."""
        where = {"logGroupName": self._group, "logStreamName": self._stream}
        _call(f"create {self}", lambda: self._logs.create_log_stream(**where), "ResourceAlreadyExistsException")
        event = {"timestamp": int(time.time() * 1000), "message": str(note)}
        answer = _call(f"write {self}", lambda: self._logs.put_log_events(**where, logEvents=[event]))
        if answer.get("rejectedLogEventsInfo"):
            raise TargetError(
                f"{self}: CloudWatch rejected the event: check the clock of this machine and the group's retention"
            )
        return str(self)


def export_cloudtrail(log: Log, trail: Trail, key: RSAPrivateKey) -> Digest | None:
    """Write the entries since the last export, and the digest that names them; None without new entries.

    Raises:
        TargetError: the bucket cannot be read or written.
        ProofError: the ledger does not extend the earlier export.
    """
    note = log.checkpoint()
    if note is None:
        raise ProofError(f"ledger {log}: there is no checkpoint to export")
    s3, size = _client("s3"), Checkpoint.parsed(note.text).size
    before = _last_digest(s3, trail)
    if before is not None:
        extends(log, note, checkpoint_of(before.checkpoint.encode(), before.key), before.key)
        if before.size == size:
            return None
    now = datetime.now(timezone.utc).replace(microsecond=0)
    if before is not None and now <= before.end:
        raise TargetError(f"{before.key}: it was written this second; digests are named by the second: run it again")
    starts = range(before.size if before else 0, size, PER_FILE)
    files = [log_file(trail, now, first, log.entries(first, min(first + PER_FILE, size))) for first in starts]
    made = digest_of(trail, key, files, note, size, (now, before))
    for name, content in [(file.key, file.content) for file in files]:
        _put(s3, trail, name, content, {})
    _put(s3, trail, made.key, made.content, {"signature": made.signature, "signature-algorithm": "SHA256withRSA"})
    return made


def _put(s3: Any, trail: Trail, key: str, content: bytes, said: dict[str, str]) -> None:
    _call(f"put s3://{trail.bucket}/{key}", lambda: s3.put_object(
        Bucket=trail.bucket, Key=key, Body=content, ContentType="application/json", ContentEncoding="gzip", Metadata=said))  # fmt: skip


def _last_digest(s3: Any, trail: Trail) -> Digest | None:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=trail.bucket, Prefix=trail.digests)
    named = f"_{trail.region}_{trail.name}_{trail.region}_"
    keys = _call(
        f"list s3://{trail.bucket}", lambda: [one["Key"] for page in pages for one in page.get("Contents", ())]
    )
    mine = [key for key in keys if named in key]
    if not mine:
        return None
    found = _call(f"read s3://{trail.bucket}/{max(mine)}", lambda: s3.get_object(Bucket=trail.bucket, Key=max(mine)))
    return parsed(max(mine), found["Body"].read(), str(found["Metadata"].get("signature", "")))
