"""Verify a table against its ledger, without Spark: one version, or all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from dataward.errors import ProofError
from dataward.integrity.findings import Finding, fail, unique
from dataward.integrity.log.log import Log
from dataward.integrity.log.notes import Note
from dataward.integrity.manifest import Attested, ManifestFile, steps
from dataward.integrity.proof.data import Counted, check_data
from dataward.integrity.proof.delta import Looked, check_log, look
from dataward.integrity.proof.entries import first_needed, table_entries
from dataward.integrity.proof.ledger import check_all, check_entries, check_heads, check_statements, open_ledger
from dataward.integrity.proof.sealed import SealedVersion, chain, read_sealed
from dataward.integrity.proof.tail import check_tail, check_unattested
from dataward.integrity.proof.trust import Trust
from dataward.tables.deltalog.actions import Key
from dataward.tables.deltalog.folder import Folder

__all__ = ["HOPELESS", "Proved", "Request", "VersionState", "prove"]

HOPELESS = frozenset(["table-missing", "other-table"])
"""Codes after which the folder is not checked further."""


@dataclass(frozen=True)
class Request:
    """Request of a proof.

    Attributes:
        version: the version; None: the newest sealed one, and the later commits.
        every: every version, and every entry of the ledger.
        heads: signed checkpoints of the ledger from other places.
        erased: whether a recorded erasure removed the statement of an entry.
        progress: called while files are hashed: hashed files, all files, bytes of the last one.
    """

    version: int | None = None
    every: bool = False
    heads: tuple[Note, ...] = ()
    erased: Callable[[int], bool] = field(default=lambda index: False)
    progress: Callable[[int, int, int], None] = field(default=lambda done, total, size: None)


@dataclass(frozen=True)
class VersionState:
    """Remaining files of a sealed version: ``whole`` (all), ``partly`` (some) or ``metadata`` (none)."""

    version: int
    state: str
    files: int
    gone: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proved:
    """The outcome: the sealed version (with its seal), findings, hashed files and, with ``every``, the remaining files of each version.

    ``state``: the version's files according to the manifests; None where the folder is not that of the table.
    """

    sealed: SealedVersion
    findings: tuple[Finding, ...]
    entries: int
    counted: Counted = field(default_factory=Counted)
    versions: tuple[VersionState, ...] = ()
    newest: int | None = None
    state: Attested | None = None


def prove(log: Log, table: Folder, target: str, trust: Trust, request: Request) -> Proved:
    """Check ledger, log and files.

    Args:
        log: the ledger's log.
        table: the table's folder.
        target: digest of the table's location, which names it in entries.
        trust: the trusted keys.
        request: the request.

    Raises:
        ProofError: there is no ledger, or no seal of the version.
    """
    try:
        ledger, findings = open_ledger(log, trust)
        first = first_needed(log, target, request.version, request.every)
        pairs = table_entries(log, target, first)
    except ProofError as error:
        raise ProofError(str(error), [fail("ledger-damaged", str(log), str(error))]) from None
    sealed, flaws = read_sealed(log, pairs, trust, request.erased)
    findings += [*flaws, *check_heads(ledger, request.heads)]
    if request.every:
        findings += [*check_all(ledger, request.erased, ()), *check_statements(ledger, trust)]
    else:
        findings += check_entries(ledger, pairs, first)
    wanted = [
        (one.manifest.version, one.index, one)
        for one in sealed
        if one.seal and request.version in (None, one.seal.version)
    ]
    if not wanted:
        missing = [] if pairs else [fail("ledger-missing", str(log), f"it has no entry of {table}")]
        raise ProofError(_nothing(log, sealed, request.version, findings), unique([*findings, *missing]))
    version, _, newest = max(wanted, key=lambda one: one[:2])
    manifests, flaws = chain(sealed, 0 if request.every else version)
    looked = look(table, manifests)
    proved = Proved(newest, (), ledger.head.size, newest=looked.listing.newest)
    findings += [*flaws, *_other_commits(looked, sealed), *check_log(looked)]
    findings += [fail("data-file-was-changed", path) for path in (newest.seal.content.changed if newest.seal else ())]
    if not any(one.code in HOPELESS for one in findings):
        # Of concurrent runs some follow the same predecessor: their manifests are beside the chain, and it has their commits.
        proved, more = _files(looked, proved, request, {one.manifest.version for one in sealed})
        findings += more
    return replace(proved, findings=unique(_both_cut(findings)))


def _other_commits(looked: Looked, sealed: Sequence[SealedVersion]) -> Iterator[Finding]:
    """Yield a finding for each entry whose commit is not the one of its version in the chain."""
    for one in sealed:
        commit = one.manifest.commits[-1] if one.manifest.commits else None
        known = looked.commits.get(one.manifest.version)
        if commit is not None and known is not None and commit.sha256 != known.sha256:
            yield fail(
                "entry-without-version", f"ledger entry {one.index}", f"it seals another version {commit.version}"
            )


def _files(looked: Looked, proved: Proved, request: Request, sealed: set[int]) -> tuple[Proved, list[Finding]]:
    version = proved.sealed.manifest.version
    marks: dict[int, int] = {}
    wanted = Attested(-1)
    union: dict[Key, ManifestFile] = {}
    fresh: set[Key] = set()
    for step in steps(looked.chain):
        state = step.state
        fresh.update(state.files if step.commit is None else (one.key for one in step.commit.added))
        if state.version in sealed:
            marks[state.mark] = state.version
            wanted = state.copy() if state.version == version else wanted
            union |= {key: state.files[key] for key in fresh if key in state.files} if request.every else {}
            fresh.clear()
    found = check_unattested(looked)
    found += check_tail(looked, marks) if request.version is None else []
    feed = [
        one
        for manifest in looked.chain
        if request.every or manifest.version == version
        for commit in manifest.commits
        for one in commit.feed
        if one.sha256
    ]
    files = Attested(version, union) if request.every else wanted
    findings, counted = check_data(looked, files, request.progress, feed)
    places = {one.place for one in findings}
    bad = {key: one for key, one in union.items() if one.path in places or (one.vector and one.vector.path in places)}
    versions = tuple(_versions(looked, sealed, bad)) if request.every else ()
    return replace(proved, counted=counted, versions=versions, state=wanted), found + findings


def _versions(looked: Looked, sealed: set[int], bad: dict[Key, ManifestFile]) -> Iterator[VersionState]:
    """Yield the remaining files of every sealed version; ``bad``: files that are gone or changed."""
    there: set[Key] = set()
    for step in steps(looked.chain):
        files = step.state.files
        there |= bad.keys() & (files if step.commit is None else {one.key for one in step.commit.added})
        there -= step.gone.keys() - files.keys()
        if step.state.version in sealed:
            gone = tuple(sorted(bad[key].path for key in there))
            kind = "whole" if not gone else "metadata" if len(gone) == len(files) else "partly"
            yield VersionState(step.state.version, kind, len(files), gone)


def _nothing(log: Log, sealed: Sequence[SealedVersion], version: int | None, findings: Sequence[Finding]) -> str:
    why = "; ".join(str(one) for one in findings if one.fails)
    versions = sorted({one.manifest.version for one in sealed})
    if version is None or not versions:
        return f"no version of it is sealed in ledger {log}{': ' + why if why else '. Publish first'}"
    there = f"sealed are {versions[0]} to {versions[-1]}" if len(versions) > 1 else f"sealed is {versions[0]} alone"
    return f"version {version} is not sealed in ledger {log}; {there}"


def _both_cut(findings: list[Finding]) -> list[Finding]:
    """Add a finding where the ledger is shorter than a head and the table's log ends with the ledger: both were cut."""
    codes = {one.code for one in findings}
    if "ledger-tail-cut" in codes and not codes & {"version-without-entry", "commit-unattested", "log-tail-cut"}:
        cut = next(one for one in findings if one.code == "ledger-tail-cut")
        return [
            *findings,
            replace(cut, code="both-cut", detail="no commit after the ledger's last entry is there either"),
        ]
    return findings
