"""One way to turn plain data into bytes, so that a hash of it means something."""

from __future__ import annotations

import hashlib
import json
from typing import Any

__all__ = ["canonical", "sha256"]


def canonical(data: Any) -> str:
    """JSON with sorted keys and no spaces, ASCII only; data that is not JSON is an error."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def sha256(data: Any) -> str:
    """SHA-256 (hex) of text, or of the canonical form of data."""
    text = data if isinstance(data, str) else canonical(data)
    return hashlib.sha256(text.encode()).hexdigest()
