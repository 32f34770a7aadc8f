"""Read sealed versions from the ledger (entry, signed statement, manifest), and assemble their chain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from dataward.integrity.dsse import Envelope
from dataward.integrity.findings import Finding, fail, note
from dataward.integrity.log.entries import Body
from dataward.integrity.log.log import Log
from dataward.integrity.manifest import Manifest
from dataward.integrity.proof.trust import Trust
from dataward.integrity.seal import Seal
from dataward.integrity.statement import Statement, predicate_type

__all__ = ["SealedVersion", "chain", "read_sealed"]


@dataclass(frozen=True)
class SealedVersion:
    """A version with its seal from the ledger.

    Attributes:
        index: number of the entry.
        body: content of the entry.
        manifest: the manifest of the entry.
        seal: None where the statement was erased, is missing or was changed.
    """

    index: int
    body: Body
    manifest: Manifest
    seal: Seal | None = None


def read_sealed(
    log: Log, entries: Iterable[tuple[int, Body]], trust: Trust, erased: Callable[[int], bool] = lambda index: False
) -> tuple[list[SealedVersion], list[Finding]]:
    """Return the sealed versions of entries, oldest first, and the findings about them."""
    found: list[SealedVersion] = []
    flaws: list[Finding] = []
    for index, body in sorted(entries, key=lambda one: one[0]):
        place = f"ledger entry {index}"
        manifest, problem = _manifest(log, body, place)
        seal, more = _seal(log, body, trust, place, erased(index) if log.statement(body.statement) is None else False)
        flaws += [*problem, *more]
        if manifest is not None:
            found.append(SealedVersion(index, body, manifest, seal))
    return found, flaws + _repeated(found)


def _seal(log: Log, body: Body, trust: Trust, place: str, erased: bool) -> tuple[Seal | None, list[Finding]]:
    name = f"statements/{body.statement}"
    data = log.statement(body.statement)
    if data is None:
        if erased:
            return None, [note("statement-erased", place)]
        return None, [fail("statement-changed" if log.store.exists(name) else "statement-missing", place, name)]
    try:
        envelope = Envelope.parse(data)
        statement = Statement.parse(envelope)
        seal = Seal.model_validate(statement.predicate)
    except ValueError:
        return None, [fail("statement-changed", place, f"{name} is no signed statement of a seal")]
    flaws = [] if envelope.signed_by(trust.keys) else [fail("signature-invalid", place)]
    about = statement.predicate_type, seal.version, statement.subject[0].sha256
    if about != (predicate_type("seal"), body.version, body.manifest):
        flaws.append(fail("entry-of-other-table", place))
    return seal, flaws


def _manifest(log: Log, body: Body, place: str) -> tuple[Manifest | None, list[Finding]]:
    name = f"statements/{body.manifest}"
    data = log.statement(str(body.manifest))
    if data is None:
        return None, [fail("manifest-changed" if log.store.exists(name) else "manifest-missing", place, name)]
    try:
        manifest = Manifest.parse(data)
    except ValueError as error:
        return None, [fail("manifest-changed", place, f"{name}: {error}")]
    if manifest.version != body.version:
        return manifest, [fail("entry-of-other-table", place, "the manifest is of another version")]
    return manifest, []


def _repeated(found: Sequence[SealedVersion]) -> list[Finding]:
    """Return statements that are entered twice; a version that was sealed again under another key has two different statements."""
    seen: dict[str, int] = {}
    flaws = []
    for one in found:
        if one.body.statement in seen:
            flaws.append(
                fail("entry-replayed", f"ledger entry {one.index}", f"it repeats entry {seen[one.body.statement]}")
            )
        seen.setdefault(one.body.statement, one.index)
    return flaws


def chain(sealed: Sequence[SealedVersion], first: int | None = None) -> tuple[list[Manifest], list[Finding]]:
    """Return the manifests up to the newest version, oldest first, and the breaks of their chain.

    They begin with the last whole one at or before version ``first`` (None: before the newest). Concurrent runs may all
    follow the same predecessor, so the chain is followed back from the newest version, not in the ledger's order.
    """
    by_digest = {str(one.body.manifest): one.manifest for one in sealed}
    tables = {one.table for one in by_digest.values()}
    flaws = []
    if len(tables) > 1:
        flaws.append(fail("entry-of-other-table", "ledger", f"its entries name tables {', '.join(sorted(tables))}"))
    found = [max(sealed, key=lambda one: (one.manifest.version, one.index)).manifest]
    while not (found[-1].whole and (first is None or found[-1].version <= first)):
        before = found[-1].predecessor
        if before is None:
            break
        if (manifest := by_digest.get(before.sha256)) is None or manifest.version >= found[-1].version:
            problem = f"the manifest of version {found[-1].version} follows one of version {before.version}, which no entry seals"
            flaws.append(fail("entry-removed", "ledger", problem))
            break
        found.append(manifest)
    return found[::-1], flaws
