"""What the fake services of keys share: encodings, checksums, errors and the token."""

from __future__ import annotations

import base64
from typing import Any

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256

TOKEN = "canary-token-5f1d"  # noqa: S105 - of a fake service
"""What every service accepts as a token; it must appear in no message."""

OAEP = padding.OAEP(padding.MGF1(SHA256()), SHA256(), None)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def unb64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unurl64(text: str) -> bytes:
    assert "=" not in text
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def crc32c(data: bytes) -> int:
    """By a table, as an implementation of its own."""
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    crc = 0xFFFFFFFF
    for one in data:
        crc = crc >> 8 ^ table[(crc ^ one) & 255]
    return crc ^ 0xFFFFFFFF


class Error(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, document: Any = None, headers: dict[str, str] | None = None) -> None:
        self.status, self.document, self.headers = status, document or {}, headers or {}
