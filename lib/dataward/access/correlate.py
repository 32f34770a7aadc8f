"""Join events of verbs with CloudTrail's records of S3 and KMS, and list accesses without a verb. Pure."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from dataward.access.verbs import VERBS
from dataward.errors import UsageError
from dataward.tables.store import files_below

__all__ = ["Accessed", "Found", "Place", "correlate", "records_in"]

WRITES = ("PutObject", "DeleteObject", "DeleteObjects", "CopyObject", "CompleteMultipartUpload", "UploadPart", "PutObjectTagging",
          "RestoreObject", "PutObjectAcl", "PutObjectRetention")  # fmt: skip
READS = ("GetObject", "HeadObject", "SelectObjectContent", "GetObjectAttributes", "GetObjectTorrent")
KEYS = ("Decrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncrypt")


@dataclass(frozen=True)
class Place:
    """Watched locations: the prefixes of a contract's tables (``bucket/prefix``), and its key domains."""

    prefixes: tuple[str, ...]
    domains: tuple[str, ...] = ()
    env: str = ""


@dataclass(frozen=True)
class Accessed:
    """One record of CloudTrail about a watched location."""

    id: str
    time: datetime
    who: str
    action: str
    what: str
    source_ip: str = ""
    denied: bool = False


@dataclass(frozen=True)
class Found:
    """Accesses with the UIDs of the events that explain them, and unexplained ones."""

    explained: tuple[tuple[Accessed, str], ...]
    unexplained: tuple[Accessed, ...]


def records_in(path: str | Path) -> Iterator[Mapping[str, Any]]:
    """Yield the records of CloudTrail's files (``.json``, ``.json.gz``) in a folder, or of one file.

    Raises:
        UsageError: there is no file, or a file is not CloudTrail's.
        TargetError: a folder may not be listed.
    """
    root = Path(path)
    endings = (".json", ".json.gz")
    files = sorted(root / one for one in files_below(root) if one.name.endswith(endings)) if root.is_dir() else [root]
    if not files:
        raise UsageError(f"{path}: no file of CloudTrail (.json or .json.gz) in it")
    for file in files:
        try:
            data = gzip.decompress(file.read_bytes()) if file.name.endswith(".gz") else file.read_bytes()
            records = [dict(record) for record in json.loads(data)["Records"]]
        except (OSError, zlib.error) as error:
            raise UsageError(f"{file}: {getattr(error, 'strerror', None) or 'it is damaged'}") from None
        except (ValueError, KeyError, TypeError, EOFError):
            raise UsageError(f"{file}: not a file of CloudTrail: it has no Records") from None
        yield from records


def correlate(
    events: Iterable[Mapping[str, Any]], records: Iterable[Mapping[str, Any]], place: Place, slack: float = 60.0
) -> Found:
    """Explain accesses by verbs of the same principal at the same time.

    A verb explains an access between its start and its end, ``slack`` seconds before and after; a writing access only if the
    verb writes. Attempts that AWS denied had no effect, but are listed as unexplained.

    Args:
        events: OCSF events of verbs.
        records: records of CloudTrail.
        place: the tables' prefixes and key domains.
        slack: seconds of tolerance for clocks and delayed requests.
    """
    verbs = [_Span.of(one) for one in events]
    explained, unexplained = [], []
    for accessed in sorted(
        (one for one in (_accessed(record, place) for record in records) if one), key=lambda one: one.time
    ):
        uid = _explaining(accessed, verbs, slack)
        if uid is None:
            unexplained.append(accessed)
        else:
            explained.append((accessed, uid))
    return Found(tuple(explained), tuple(unexplained))


@dataclass(frozen=True)
class _Span:
    uid: str
    who: str
    start: float
    end: float
    writes: bool
    denied: bool

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> _Span:
        own = event["unmapped"]["dataward"]
        verb = VERBS.get(own["verb"])
        start, end = event.get("start_time", event["time"]), event.get("end_time", event["time"])
        return cls(event["metadata"]["uid"], event["actor"]["user"]["name"], start / 1000, end / 1000,
                   verb is not None and verb.writes, own["status"] == "denied")  # fmt: skip


def _explaining(accessed: Accessed, verbs: Sequence[_Span], slack: float) -> str | None:
    time = accessed.time.timestamp()
    for verb in verbs:
        fits = not verb.denied and verb.start - slack <= time <= verb.end + slack and _same(verb.who, accessed.who)
        if fits and not accessed.denied and (verb.writes or accessed.action not in WRITES):
            return verb.uid
    return None


def _same(verb: str, record: str) -> bool:
    """Return whether the principal of a verb is that of a record, by the whole ARN."""
    return bool(record) and verb == record


def _accessed(record: Mapping[str, Any], place: Place) -> Accessed | None:
    """Return an access to the place; None for any other record."""
    action, source = str(record.get("eventName", "")), str(record.get("eventSource", ""))
    given = record.get("requestParameters") or {}
    if source == "s3.amazonaws.com" and action in (*WRITES, *READS):
        what = f"{given.get('bucketName', '')}/{given.get('key', '')}"
        if not any(what == prefix or what.startswith(prefix.rstrip("/") + "/") for prefix in place.prefixes):
            return None
    elif source == "kms.amazonaws.com" and action in KEYS:
        context = given.get("encryptionContext") or {}
        if context.get("domain") not in place.domains or (place.env and context.get("env") != place.env):
            return None
        what = f"key domain {context['domain']} version {context.get('version', '?')}"
    else:
        return None
    identity = record.get("userIdentity") or {}
    try:
        time = datetime.fromisoformat(str(record["eventTime"]).replace("Z", "+00:00"))
    except (KeyError, ValueError):
        time = datetime.fromtimestamp(0, timezone.utc)  # no verb explains it
    return Accessed(str(record.get("eventID", "")), time, str(identity.get("arn") or identity.get("invokedBy") or ""), action, what,
                    str(record.get("sourceIPAddress", "")), bool(record.get("errorCode")))  # fmt: skip
