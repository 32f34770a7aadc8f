"""Metadata of commits: in ``userMetadata``, or in the condition of a merge (:mod:`dataward.tables.named` says when)."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["metadata_of", "word_of"]

_WORD = re.compile(r"dataward:([A-Za-z0-9_-]+)")


def word_of(text: str) -> str:
    """Return metadata as one word, which a condition can contain and :func:`metadata_of` finds there."""
    return f"dataward:{base64.urlsafe_b64encode(text.encode()).decode().rstrip('=')}"


def metadata_of(info: Mapping[str, Any]) -> Any:
    """Return the metadata of a commit, parsed, from its commitInfo or its row of the history; empty where it has none."""
    text, parameters = info.get("userMetadata"), info.get("operationParameters")
    if not text and info.get("operation") == "MERGE" and isinstance(parameters, Mapping):
        found = _WORD.search(str(parameters.get("predicate")))
        text = _decoded(found.group(1)) if found else None
    try:
        return json.loads(text) if isinstance(text, str) else {}
    except (ValueError, RecursionError):
        return {}


def _decoded(word: str) -> str:
    try:
        return base64.urlsafe_b64decode(word + "=" * (-len(word) % 4)).decode()
    except ValueError:
        return ""
