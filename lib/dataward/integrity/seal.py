"""The seal: what a run says about the version it published, signed.

A seal is plain data. It names the source version, contract, verdicts, rows, protections, code, keys, commit and content
of one table version; the ledger signs it (Ed25519, RFC 8032) together with its place in the chain.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from dataward.integrity.canonical import canonical

__all__ = ["Record", "Seal", "SealedCommit", "SealedContent", "code_version"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SealedContent(_Frozen):
    digest: str
    nonce: str
    rows: int
    files_sha256: str


class SealedCommit(_Frozen):
    file: str
    sha256: str | None


class Record(_Frozen):
    """What every entry of the ledger says of itself. Times are UTC (ISO 8601); hashes and keys are hex."""

    kind: str
    format: int = 1
    contract: str
    run_id: str
    target: str
    version: int | None
    time: str
    who: str
    code: dict[str, str]
    key: dict[str, Any]

    def text(self) -> str:
        """The bytes that are hashed and signed."""
        return canonical(self.model_dump(mode="json"))


class Seal(Record):
    """Everything that is proved about one version."""

    kind: Literal["seal"] = "seal"
    version: int
    contract_sha256: str
    source: dict[str, Any]
    references: dict[str, Any] = {}
    verdicts: list[dict[str, Any]]
    verdicts_before: list[dict[str, Any]] = []
    repairs: list[dict[str, Any]] = []
    rows: dict[str, int]
    protections: list[dict[str, Any]]
    verdicts_after: list[dict[str, Any]] = []
    joins: list[dict[str, Any]] = []
    quarantine: dict[str, Any] | None
    changes: dict[str, Any] | None = None
    releases: str | None = None
    content: SealedContent
    commit: SealedCommit


@cache
def code_version() -> dict[str, str]:
    """Version of the package and SHA-256 over its source files (name and bytes, in order of names)."""
    root = files("dataward")
    whole = hashlib.sha256()
    for name, item in sorted(_sources(root, "")):
        whole.update(name.encode() + b"\0" + hashlib.sha256(item.read_bytes()).digest())
    return {"version": (root / "VERSION").read_text(encoding="utf-8").strip(), "sha256": whole.hexdigest()}


def _sources(folder: Any, prefix: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for item in folder.iterdir():
        name = f"{prefix}{item.name}"
        if item.is_dir():
            found += _sources(item, f"{name}/")
        elif item.name.endswith((".py", ".lark", ".j2", ".sha256")):
            found.append((name, item))
    return found
