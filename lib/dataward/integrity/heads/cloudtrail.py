"""Entries and checkpoints in the format of CloudTrail's log and digest files, which ``aws cloudtrail validate-logs`` checks.

A digest names the log files since the previous digest by SHA-256, and the previous digest by its hash and signature (RSA, SHA-256).
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from dataward.errors import ProofError
from dataward.integrity.canonical import MALFORMED
from dataward.integrity.log.notes import Note

__all__ = ["Digest", "LogFile", "Trail", "digest_of", "log_file", "parsed", "public_keys"]

LARGEST = 64 * 1024 * 1024


@dataclass(frozen=True)
class Trail:
    """Location of the files of a trail with this name."""

    bucket: str
    prefix: str
    account: str
    region: str
    name: str

    @property
    def arn(self) -> str:
        """ARN for the validator."""
        return f"arn:aws:cloudtrail:{self.region}:{self.account}:trail/{self.name}"

    @property
    def digests(self) -> str:
        """Prefix of all digests."""
        return f"{self._start}AWSLogs/{self.account}/CloudTrail-Digest/{self.region}/"

    @property
    def _start(self) -> str:
        return f"{self.prefix}/" if self.prefix else ""

    def digest_key(self, time: datetime) -> str:
        """Return the key of a digest."""
        name = f"{self.account}_CloudTrail-Digest_{self.region}_{self.name}_{self.region}_{time:%Y%m%dT%H%M%SZ}.json.gz"
        return f"{self.digests}{time:%Y/%m/%d}/{name}"

    def log_key(self, time: datetime, first: int) -> str:
        """Return the key of a log file by its first entry."""
        name = f"{self.account}_CloudTrail_{self.region}_{time:%Y%m%dT%H%MZ}_{first:016}.json.gz"
        return f"{self._start}AWSLogs/{self.account}/CloudTrail/{self.region}/{time:%Y/%m/%d}/{name}"


@dataclass(frozen=True)
class LogFile:
    """A log file: its key, its compressed content, the hash of the uncompressed content, and the times of its entries."""

    key: str
    content: bytes
    sha256: str
    oldest: str
    newest: str


@dataclass(frozen=True)
class Digest:
    """A digest: key, text, signature (hex), the number of entries covered by it and its predecessors, and the checkpoint."""

    key: str
    text: bytes
    signature: str
    size: int
    checkpoint: str
    end: datetime

    @property
    def content(self) -> bytes:
        """The compressed object."""
        return gzip.compress(self.text, mtime=0)


def log_file(trail: Trail, time: datetime, first: int, entries: list[bytes]) -> LogFile:
    """Return the log file of some entries."""
    records = [{"eventVersion": "1.0", "eventSource": "dataward", "eventName": "LedgerEntry", "ledgerIndex": first + number,
                "eventTime": json.loads(entry)["time"], "entry": entry.decode()} for number, entry in enumerate(entries)]  # fmt: skip
    text = json.dumps({"Records": records}, sort_keys=True, separators=(",", ":")).encode()
    times = sorted(str(record["eventTime"]) for record in records)
    key = trail.log_key(time, first)
    return LogFile(key, gzip.compress(text, mtime=0), hashlib.sha256(text).hexdigest(), times[0], times[-1])


def digest_of(
    trail: Trail, key: RSAPrivateKey, logs: list[LogFile], note: Note, size: int, times: tuple[datetime, Digest | None]
) -> Digest:
    """Return the signed digest of log files; ``times``: now, and the previous digest (None: this is the first)."""
    now, before = times
    object_key, end = trail.digest_key(now), f"{now:%Y-%m-%dT%H:%M:%SZ}"
    start = before.end if before else now - timedelta(hours=1)
    said: dict[str, Any] = {
        "awsAccountId": trail.account,
        "digestStartTime": f"{start:%Y-%m-%dT%H:%M:%SZ}",
        "digestEndTime": end,
        "digestS3Bucket": trail.bucket,
        "digestS3Object": object_key,
        "digestPublicKeyFingerprint": _fingerprint(_public(key)),
        "digestSignatureAlgorithm": "SHA256withRSA",
        "newestEventTime": logs[-1].newest if logs else None,
        "oldestEventTime": logs[0].oldest if logs else None,
        "previousDigestS3Bucket": trail.bucket if before else None,
        "previousDigestS3Object": before.key if before else None,
        "previousDigestHashValue": hashlib.sha256(before.text).hexdigest() if before else None,
        "previousDigestHashAlgorithm": "SHA-256" if before else None,
        "previousDigestSignature": before.signature if before else None,
        "logFiles": [{"s3Bucket": trail.bucket, "s3Object": log.key, "hashValue": log.sha256, "hashAlgorithm": "SHA-256",
                      "newestEventTime": log.newest, "oldestEventTime": log.oldest} for log in logs],
        "ledgerSize": size,
        "ledgerCheckpoint": str(note),
    }  # fmt: skip
    text = json.dumps(said, separators=(",", ":")).encode()
    previous = before.signature if before else "null"
    message = f"{end}\n{trail.bucket}/{object_key}\n{hashlib.sha256(text).hexdigest()}\n{previous}".encode()
    signature = key.sign(message, PKCS1v15(), SHA256()).hex()
    return Digest(object_key, text, signature, size, str(note), now)


def parsed(key: str, content: bytes, signature: str) -> Digest:
    """Parse an earlier digest.

    Raises:
        ProofError: it was not written by Dataward.
    """
    try:
        text = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(content, LARGEST)
        said = json.loads(text)
        end = datetime.fromisoformat(str(said["digestEndTime"]).replace("Z", "+00:00"))
        return Digest(key, text, signature, int(said["ledgerSize"]), str(said["ledgerCheckpoint"]), end)
    except (*MALFORMED, zlib.error):
        raise ProofError(f"{key}: it is no digest of a ledger: it was changed, or another trail writes there") from None


def public_keys(key: RSAPrivateKey) -> dict[str, Any]:
    """Return the response of ``ListPublicKeys`` for the validator."""
    public = _public(key)
    return {"PublicKeyList": [{"Value": base64.b64encode(public).decode(), "ValidityStartTime": 0, "ValidityEndTime": 4102444800,
                               "Fingerprint": _fingerprint(public)}]}  # fmt: skip


def _public(key: RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)


def _fingerprint(public: bytes) -> str:
    return hashlib.sha256(public).hexdigest()[:32]
