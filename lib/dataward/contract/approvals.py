"""Approvals: a second person's signature under keeping a sensitive column, so that who writes a contract need not be who decides that.

The signed text is a DSSE pre-authentication encoding (https://github.com/secure-systems-lab/dsse) of the approval as canonical
JSON: contract, target, column, class, protection, approver, last day, reason. A changed column line is not approved any more.
"""

from __future__ import annotations

import base64
import binascii
import json
from datetime import date, datetime, timezone
from typing import Any

from dataward.contract.access import Approval
from dataward.contract.protections import Column

__all__ = ["TYPE", "encoded", "key_of", "statement", "trouble"]

TYPE = "application/vnd.dataward.approval+json"


def statement(contract: str, target: str, column: str, line: Column, approval: Approval) -> dict[str, Any]:
    """Return what an approver signs."""
    return {
        "version": 1,
        "contract": contract,
        "target": target,
        "column": column,
        "class": line.class_,
        "protect": line.protect.model_dump(mode="json", by_alias=True),
        "by": approval.by,
        "until": approval.until.isoformat() if approval.until else None,
        "reason": approval.reason,
    }


def encoded(said: dict[str, Any]) -> bytes:
    """Return the bytes that are signed: DSSE's pre-authentication encoding of the canonical JSON."""
    body = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return b"DSSEv1 %d %b %d %b" % (len(TYPE), TYPE.encode(), len(body), body)


def key_of(text: str) -> Any:
    """Return the Ed25519 public key of a PEM text, or of its base64 without header and footer.

    Raises:
        ValueError: it is none.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    body = "".join(
        line for line in text.split() if "-----" not in line and line not in ("BEGIN", "END", "PUBLIC", "KEY")
    )
    try:
        key = load_der_public_key(base64.b64decode(body, validate=True))
    except (ValueError, binascii.Error):
        raise ValueError("it is no public key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("it is no Ed25519 key")
    return key


def trouble(said: dict[str, Any], approval: Approval, public_key: str, today: date | None = None) -> str:
    """Return why an approval does not hold; empty where it does."""
    from cryptography.exceptions import InvalidSignature

    if approval.until and (today or datetime.now(timezone.utc).date()) > approval.until:
        return f"the approval by '{approval.by}' ended on {approval.until}"
    try:
        key_of(public_key).verify(base64.b64decode(approval.signature, validate=True), encoded(said))
    except (InvalidSignature, ValueError, binascii.Error):
        return f"the signature is not by '{approval.by}' under this column's line as it is now"
    return ""
