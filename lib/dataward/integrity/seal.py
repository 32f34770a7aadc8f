"""The seal: a signed statement of a run about the version that it published.

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

__all__ = ["Record", "Seal", "SealedBeside", "SealedCommit", "SealedContent", "SealedReport", "code_version"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SealedContent(_Frozen):
    """Keyed digest of a version's rows (docs/digest.md).

    Attributes:
        encoding: version of the rows' encoding.
        digest: digest (hex).
        nonce: its nonce (hex).
        rows: number of rows.
        schema_sha256: SHA-256 (hex) of names and types of the columns.
        basis: start of the digest. ``written``: the commit wrote every row; a number: the sealed version of that number,
            plus added and minus removed rows since; ``whole``: all rows of the version were read, without an earlier seal.
        measured: ``written``: rows of the commit were summed as they were written; ``read``: some were read after the commit.
        unsealed: versions of other writers since the basis; their changes are not in the digest.
        changed: data files that runs replaced after somebody had changed their bytes, since all rows were last written.
    """

    encoding: int = 1
    digest: str
    nonce: str
    rows: int
    schema_sha256: str = ""
    basis: int | Literal["written", "whole"] = "whole"
    measured: Literal["written", "read"] = "read"
    unsealed: tuple[int, ...] = ()
    changed: tuple[str, ...] = ()
    files_sha256: str = ""


class SealedCommit(_Frozen):
    """Name and SHA-256 (hex) of the commit's file in the table's log."""

    file: str
    sha256: str | None


class SealedBeside(_Frozen):
    """A table beside the target at the time of the seal: its ID, version, and the SHA-256 (hex) of its manifest."""

    table: str
    version: int
    manifest: str


class SealedReport(_Frozen):
    """What a run's report says before the seal.

    Attributes:
        fields: the attested fields of ``report.json``.
        warnings: number of the first warnings that are attested; the run may have added more after the seal.
        sha256: SHA-256 (hex) of the canonical JSON of these fields.
    """

    fields: tuple[str, ...]
    warnings: int
    sha256: str


class Record(_Frozen):
    """Fields of every entry of the ledger. Times are UTC (ISO 8601); hashes and keys are hex."""

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
        """Return the canonical JSON that is hashed and signed."""
        return canonical(self.model_dump(mode="json"))


class Seal(Record):
    """Statement about one version: source, contract, outcomes, protections, content and commit."""

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
    approvals: list[dict[str, Any]] = []
    quarantine: dict[str, Any] | None
    changes: dict[str, Any] | None = None
    releases: str | None = None
    environment: dict[str, str] = {}
    beside: dict[str, SealedBeside] = {}
    reported: SealedReport | None = None
    content: SealedContent
    commit: SealedCommit


@cache
def code_version() -> dict[str, str]:
    """Return the package's version, and the SHA-256 over names and bytes of its source files, in order of names."""
    root = files("dataward")
    whole = hashlib.sha256()
    for name, item in sorted(_sources(root, "")):
        whole.update(name.encode() + b"\0" + hashlib.sha256(item.read_bytes()).digest())
    return {"version": (root / "VERSION").read_text(encoding="utf-8").strip(), "sha256": whole.hexdigest()}


def _sources(folder: Any, prefix: str) -> list[tuple[str, Any]]:
    sources: list[tuple[str, Any]] = []
    for item in folder.iterdir():
        name = f"{prefix}{item.name}"
        if item.is_dir():
            sources += _sources(item, f"{name}/")
        elif not item.name.endswith((".pyc", ".so")):  # other files may affect the code as well
            sources.append((name, item))
    return sources
