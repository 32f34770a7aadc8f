"""Requests to AWS as they go over the wire, read as IAM sees them: action, resource and condition keys."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from urllib.parse import parse_qs, unquote, urlsplit

from dataward.access.iam_evaluate import Request

ACCOUNT, REGION = "123456789012", "us-east-1"
BUCKET_READS = {
    "location": "s3:GetBucketLocation", "versioning": "s3:GetBucketVersioning", "encryption": "s3:GetEncryptionConfiguration",
    "policy": "s3:GetBucketPolicy", "policyStatus": "s3:GetBucketPolicyStatus", "publicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "object-lock": "s3:GetBucketObjectLockConfiguration", "logging": "s3:GetBucketLogging", "uploads": "s3:ListBucketMultipartUploads",
    "lifecycle": "s3:GetLifecycleConfiguration",
}  # fmt: skip
FREE = ("sts:GetCallerIdentity",)  # allowed to everybody, whatever policies say


def read(method: str, target: str, headers: Mapping[str, str], body: bytes) -> Iterator[Request]:
    """What IAM decides for one HTTP request (a copy is decided twice, a bulk delete once a key)."""
    headers = {name.lower(): value for name, value in headers.items()}
    if "x-amz-target" in headers:
        yield from _json_call(headers["x-amz-target"], json.loads(body or b"{}"))
    elif headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        service = {"Publish": "sns"}.get(form["Action"], "sts")
        yield Request(f"{service}:{form['Action']}", form.get("TopicArn", "*"))
    else:
        yield from _s3(method, target, headers, body)


def _json_call(target: str, said: dict) -> Iterator[Request]:
    service, _, name = target.partition(".")
    if service == "TrentService":
        key = said.get("KeyId", "*")
        context = {f"kms:EncryptionContext:{k}": (v,) for k, v in said.get("EncryptionContext", {}).items()}
        if said.get("EncryptionContext"):
            context["kms:EncryptionContextKeys"] = tuple(said["EncryptionContext"])
        if key.startswith("alias/"):
            context["kms:RequestAlias"], key = (key,), "of-alias"
        yield Request(
            f"kms:{name}", key if key.startswith("arn:") else f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{key}", context
        )
    elif service.startswith("Logs_"):
        stream = f":log-stream:{said.get('logStreamName', '')}"
        yield Request(
            f"logs:{name}", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{said.get('logGroupName', '*')}{stream}"
        )
    else:
        yield Request(f"{service.split('_')[0].lower()}:{name}", "*")


def _s3(method: str, target: str, headers: Mapping[str, str], body: bytes) -> Iterator[Request]:
    parts = urlsplit(target)
    bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
    asked = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    whole, thing = f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/{key}"
    if not key:
        special = next((action for name, action in BUCKET_READS.items() if name in asked), None)
        if "delete" in asked:
            for named in re.findall(rb"<Key>(.*?)</Key>", body):
                yield Request("s3:DeleteObject", f"{whole}/{named.decode()}")
        elif method in ("GET", "HEAD"):
            told = {f"s3:{name}": (asked[name],) for name in ("prefix", "delimiter", "max-keys") if name in asked}
            yield Request(special or "s3:ListBucket", whole, told)
        else:
            yield Request("s3:CreateBucket", whole)
    elif method in ("GET", "HEAD"):
        yield Request("s3:GetObject", thing)
    elif method == "DELETE":
        yield Request("s3:AbortMultipartUpload" if "uploadId" in asked else "s3:DeleteObject", thing)
    else:
        if source := headers.get("x-amz-copy-source"):
            yield Request("s3:GetObject", f"arn:aws:s3:::{unquote(source).lstrip('/')}")
        mode = headers.get("x-amz-object-lock-mode")
        if mode:
            left = datetime.fromisoformat(
                headers["x-amz-object-lock-retain-until-date"].replace("Z", "+00:00")
            ) - datetime.now(timezone.utc)
            days = {"s3:object-lock-remaining-retention-days": (str(round(left.total_seconds() / 86_400)),)}
            yield Request("s3:PutObjectRetention", thing, {"s3:object-lock-mode": (mode,), **days})
        yield Request("s3:PutObject", thing)


def normal(request: Request, tag: str = "") -> Request:
    """The same request without what differs from run to run: digits of 8 or more (hex, times, IDs), and every number of a ledger or its export."""

    def plain(text: str) -> str:
        text = text.replace(tag, "TAG") if tag else text
        text = "ACCOUNT".join(re.sub(r"[0-9a-fTZ](?:-?[0-9a-fTZ]){7,}", "HEX", part) for part in text.split(ACCOUNT))
        before, *inside = re.split("(?<=_ledger/)|(?<=/AWSLogs/)", text.replace("ACCOUNT", ACCOUNT), maxsplit=1)
        return before + "".join(re.sub(r"\b[0-9a-f]{2}(?=/)|\d+", "N", part) for part in inside)

    context = {key: tuple(map(plain, values)) for key, values in request.context.items()}
    return Request(request.action, plain(request.resource), context)


def harmless(request: Request) -> bool:
    """Whether a refusal changes nothing: Delta's checksum file is written, and the name under which it was prepared stays beside it."""
    return (
        request.action == "s3:DeleteObject"
        and re.search(r"/_delta_log/\.[^/]+\.crc\.[^/]+\.tmp$", request.resource) is not None
    )
