"""Check a table beside the target (quarantine, changed cells, metric history) against its manifest in the target's seal."""

from __future__ import annotations

from collections.abc import Iterator

from dataward.integrity.findings import Finding, fail
from dataward.integrity.log.log import Log
from dataward.integrity.manifest import Manifest, states
from dataward.integrity.proof.data import check_data
from dataward.integrity.proof.delta import check_log, look
from dataward.integrity.proof.tail import check_tail
from dataward.integrity.seal import SealedBeside
from dataward.tables.deltalog.folder import Folder

__all__ = ["check_beside"]

OWN = frozenset(["version-without-entry"])
"""Codes that are not findings here: verbs between two seals write these tables, and the next seal attests it."""


def check_beside(log: Log, table: Folder, what: str, sealed: SealedBeside) -> list[Finding]:
    """Return a finding where the table differs from its seal; later commits of Dataward are accepted."""
    place = f"{what} {table}"
    manifests: list[Manifest] = []
    name: str | None = sealed.manifest
    while name and not (manifests and manifests[-1].whole):
        data = log.statement(name)
        if data is None:
            return [fail(f"{what}-changed", place, f"its manifest statements/{name} is missing or was changed")]
        try:
            manifests.append(Manifest.parse(data))
        except ValueError as error:
            return [fail(f"{what}-changed", place, f"statements/{name}: {error}")]
        before = manifests[-1].predecessor
        name = before.sha256 if before else None
    failing = [one for one in _told(table, manifests[::-1]) if one.fails and one.code not in OWN]
    return [fail(f"{what}-changed", place, "; ".join(map(str, failing[:3])))] if failing else []


def _told(table: Folder, chain: list[Manifest]) -> Iterator[Finding]:
    looked = look(table, chain)
    found = check_log(looked)
    yield from found
    if any(one.code in ("table-missing", "other-table") for one in found):
        return
    ours = {commit.version for commit in looked.tail if commit.info.dataward}
    yield from (
        one
        for one in check_tail(looked, {state.mark: state.version for state in states(looked.chain)})
        if not any(f"version {v} " in one.place for v in ours)
    )
    yield from check_data(looked, looked.state)[0]
