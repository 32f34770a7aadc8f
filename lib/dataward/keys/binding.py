"""What a wrapped secret is bound to, so that it unwraps under its own env, domain and version only."""

from __future__ import annotations

import json

__all__ = ["bound_bytes", "bound_to"]


def bound_to(env: str, domain: str, version: int) -> dict[str, str]:
    """Return the context of a secret; secrets serve to derive the keys of all purposes."""
    return {"env": env, "domain": domain, "purpose": "derivation", "version": str(version)}


def bound_bytes(env: str, domain: str, version: int) -> bytes:
    """Return the context as associated data: JSON with sorted keys and without spaces."""
    return json.dumps(bound_to(env, domain, version), sort_keys=True, separators=(",", ":")).encode()
