"""Serialise plain data canonically, so that equal data has equal hashes."""

from __future__ import annotations

import hashlib
import json
from typing import Any

__all__ = ["MALFORMED", "canonical", "sha256"]

MALFORMED = (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, OverflowError)
"""What reading JSON may raise that others may have written, such as 1e999 for a version, or a list for an object."""


def canonical(data: Any) -> str:
    """Return ASCII JSON with sorted keys and without spaces.

    Raises:
        TypeError: the data has no JSON form.
        ValueError: the data contains NaN or an infinity.
    """
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def sha256(data: Any) -> str:
    """Return the SHA-256 (hex) of a text, or of the canonical form of other data."""
    text = data if isinstance(data, str) else canonical(data)
    return hashlib.sha256(text.encode()).hexdigest()
