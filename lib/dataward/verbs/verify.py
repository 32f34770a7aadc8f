"""Verify a sealed table without Spark: ledger, log and bytes; with a session also the keyed digest of its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dataward.contract import Contract, Keys
from dataward.errors import DatawardError, KeyringError, ProofError, UsageError
from dataward.integrity import ledger
from dataward.integrity.canonical import sha256
from dataward.integrity.findings import Finding, fail, note, section
from dataward.integrity.heads import Unread, read_heads
from dataward.integrity.log import entries as pointers
from dataward.integrity.log.log import Log
from dataward.integrity.log.notes import Note, parse
from dataward.integrity.proof.beside import check_beside
from dataward.integrity.proof.data import Counted
from dataward.integrity.proof.proof import HOPELESS, Proved, Request, VersionState, prove
from dataward.integrity.proof.trust import Trust, from_files, from_keys
from dataward.keys import open_keys
from dataward.pipeline.guard import guarded
from dataward.tables.deltalog.folder import folder
from dataward.verbs.reports import check_report

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from dataward.integrity.seal import Seal
    from dataward.pipeline.plan import Plan

__all__ = ["Asked", "Check", "Proof", "proved", "trusted", "verified", "verify", "verify_contract"]

Progress = Callable[[int, int, int], None]
WITHOUT = "Who has no keyring verifies with --public-key KEYS.pem"


@dataclass(frozen=True)
class Check:
    """One recomputed property. ``warning``: it differs without a sign of tampering."""

    name: str
    holds: bool
    detail: str
    warning: bool = False


@dataclass(frozen=True)
class Proof:
    """All checks of one version with their findings: each finding has a stable code (docs/verify.md)."""

    contract: str
    target: str
    version: int
    run_id: str
    sealed_at: str
    checks: tuple[Check, ...]
    findings: tuple[Finding, ...] = ()
    hashed: Counted = field(default_factory=Counted)
    versions: tuple[VersionState, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether all checks hold."""
        return all(check.holds for check in self.checks)

    @property
    def wrong(self) -> str:
        """What does not hold, in words."""
        return "; ".join(check.detail for check in self.checks if not check.holds)


@dataclass(frozen=True)
class Asked:
    """Options of a verification.

    Attributes:
        version: the version; None: the newest sealed one, and the later commits.
        every: every sealed version, and the whole ledger.
        public_keys: PEM files of trusted keys; none: the contract's keyring is opened.
        heads: files with checkpoints of the ledger from other places.
        table: the table's folder, if it is not the contract's.
        reports: the folder of reports, to compare the report of the version's run with the seal.
        rows: recompute the keyed digest of the rows; needs a session and the keyring.
        progress: called while files are hashed.
        contract_sha256: what the seal must name, where the contract was made from something else, such as a query.
    """

    version: int | None = None
    every: bool = False
    public_keys: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    table: str | None = None
    reports: str | None = None
    rows: bool = False
    progress: Progress = field(default=lambda done, total, size: None)
    contract_sha256: str | None = None


@guarded("verify")
def verify(spark: SparkSession | None, plan: Plan, version: int | None = None, asked: Asked | None = None) -> Proof:
    """Check a sealed version of the contract's target (default: the newest sealed one).

    With a session the rows are digested as well, unless ``asked`` says otherwise.

    Raises:
        ProofError: there is no ledger, or no seal for the version.
    """
    return verify_contract(spark, plan.contract, asked or Asked(version, rows=spark is not None))


@guarded("verify")
def verify_contract(spark: SparkSession | None, contract: Contract, asked: Asked) -> Proof:
    """Verify the target of a contract; see :func:`verify`."""
    return verified(spark, contract, asked)[0]


@guarded("verify")
def verified(spark: SparkSession | None, contract: Contract, asked: Asked) -> tuple[Proof, Proved]:
    """Verify the target of a contract, and return its proof for readers and for code; see :func:`verify`."""
    found = proved(spark, contract, asked)
    seal = found.sealed.seal
    assert seal is not None  # noqa: S101 - `prove` returns only such
    findings = [*found.findings, *_beside(spark, contract, seal, asked), *_contract(contract, seal, asked)]
    if asked.reports:
        findings += check_report(asked.reports, contract.contract, seal, lambda: _erased(contract, asked))
    if asked.rows:
        differing = _rows(spark, contract, seal, seal.version)
        findings = settled_by_rows(
            findings, differing, seal.version, lambda version: _rows(spark, contract, seal, version)
        )
    checks = tuple(_checks(found, seal, findings))
    target = str(contract.target)
    proof = Proof(
        contract.contract,
        target,
        seal.version,
        seal.run_id,
        seal.time,
        checks,
        tuple(findings),
        found.counted,
        found.versions,
    )
    return proof, found


def proved(spark: SparkSession | None, contract: Contract, asked: Asked) -> Proved:
    """Return the proof of ledger, log and files.

    Raises:
        ProofError: there is no ledger, or no seal for the version.
        UsageError: the table has a name in the catalog, and no session can look up its folder.
    """
    log = ledger.existing(contract.ledger_location)
    trust = trusted(log, contract.keys, asked.public_keys)
    kept = read_heads(log, contract.heads)
    heads = (*_heads(asked.heads), *(one for _, one in kept if isinstance(one, Note)))
    request = Request(asked.version, asked.every, heads, ledger.erased(log, trust), asked.progress)
    try:
        found = prove(log, folder(_location(spark, contract, asked)), ledger.table_id(contract.target), trust, request)
        unknown = (_unknown(str(head), one) for head, one in kept if not isinstance(one, Note))
        return replace(found, findings=(*found.findings, *unknown))
    except ProofError as error:
        raise ProofError(f"{contract.target}: {error}", error.findings) from None


def _unknown(place: str, head: Unread | None) -> Finding:
    """Return the finding for a place without a readable head."""
    if head is None:
        return note("head-unread", place, "it holds no head of this ledger: none was kept there yet, or it was removed")
    if head.damaged:
        return fail("head-damaged", head.place, head.trouble)
    return note("head-unread", head.place, head.trouble)


def trusted(log: Log, keys: Keys, public_keys: Sequence[str]) -> Trust:
    """Return the trusted keys: of PEM files, or of a keyring and the key in a service that signs for it.

    Raises:
        KeyringError: a file holds no key, or there is neither a file nor a keyring.
        UsageError: a file cannot be read.
    """
    if public_keys:
        return from_files(log, public_keys)
    try:
        ring = open_keys(keys)
    except KeyringError as error:
        raise KeyringError(f"{error}. {WITHOUT}") from None
    if not ring.domains:  # each signature would fail, as if somebody had changed the ledger
        raise KeyringError(f"keyring {keys.path} has no key: restore it from your backup. {WITHOUT}")
    return from_keys(log, keys, ring)


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


def _heads(paths: Iterable[str]) -> Iterable[Note]:
    for path in paths:
        try:
            yield parse(_read(path))
        except ValueError as error:
            raise UsageError(f"{path}: {error}") from None


def _location(spark: SparkSession | None, contract: Contract, asked: Asked) -> str:
    if asked.table:
        return asked.table
    if contract.target.path is not None:
        return contract.target.path
    if spark is None:
        raise UsageError(
            f"{contract.target} is a name in the catalog: give its folder with --table PATH, or let Spark look it up with --rows"
        )
    from dataward.tables import delta

    return delta.location(spark, contract.target)


def _beside(spark: SparkSession | None, contract: Contract, seal: Seal, asked: Asked) -> list[Finding]:
    """Check the tables beside the target against the newest seal; those of the catalog need a session."""
    log, found = ledger.open_log(contract.ledger_location), list[Finding]()
    for what, sealed in seal.beside.items() if asked.version is None else ():
        place = contract.tables.get(what)
        if place is None or (place.path is None and spark is None):
            continue
        root = place.path
        if root is None and spark is not None:
            from dataward.tables import delta

            root = delta.location(spark, place)
        found += check_beside(log, folder(str(root)), what, sealed)
    return found


def _erased(contract: Contract, asked: Asked) -> bool:
    """Return whether a signed entry of the ledger records an erasure."""
    log = ledger.open_log(contract.ledger_location)
    found = pointers.newest(log, "erasure", ledger.table_id(contract.target))
    trust = trusted(log, contract.keys, asked.public_keys)
    return found is not None and not found[1].signed_by(trust, log.origin() or "", found[0])


def _contract(contract: Contract, seal: Seal, asked: Asked) -> list[Finding]:
    present = asked.contract_sha256 or sha256(contract.model_dump(mode="json", by_alias=True))
    if present == seal.contract_sha256:
        return []
    return [note("contract-edited", contract.contract)]


def settled_by_rows(
    findings: Sequence[Finding], differing: Sequence[Finding], sealed: int, rows: Callable[[int], Sequence[Finding]]
) -> list[Finding]:
    """Decide by the rows which commits changed nothing although their files do not suffice to compare.

    Args:
        findings: the findings without the rows.
        differing: findings about the rows of the sealed version; none where they are as sealed.
        sealed: the sealed version.
        rows: returns the findings about the rows of another version, compared with the seal.
    """
    unproven = {one: _version_of(one) for one in findings if one.code == "commit-unproven"}
    others = any(one.fails and section(one.code) == "newest" for one in findings)
    newest = max(unproven.values(), default=0)
    later = () if newest <= sealed or differing or others else rows(newest)
    made: list[Finding] = []
    for one in findings:
        version = unproven.get(one)
        known = version is not None and not differing and (version <= sealed or not others)
        if version is None or not known:
            made.append(one)
        elif version > sealed and later:
            made.append(fail("commit-rows-differ", one.place, "; ".join(finding.detail for finding in later)))
        else:
            made.append(note("commit-neutral", one.place, "the digest of all rows is the sealed one"))
    return [*made, *differing]


def _version_of(finding: Finding) -> int:
    """Return the version in the place of a finding about a commit: ``version 7 (OPTIMIZE)``."""
    return int(finding.place.split()[1])


def _rows(spark: SparkSession | None, contract: Contract, seal: Seal, version: int) -> list[Finding]:
    """Recompute the keyed digest of a version's rows, and compare it with a seal."""
    if spark is None:
        raise UsageError("the digest of the rows needs a Spark session")
    from dataward.pipeline.content import ENCODINGS, digest_of
    from dataward.spark.session import isolated
    from dataward.tables import delta
    from dataward.tables.reason import reason

    place = f"version {version}"
    if seal.content.encoding not in ENCODINGS:
        words = f"it was sealed by another Dataward (row encoding {seal.content.encoding}, here {ENCODINGS[-1]}); publish once more"
        return [fail("rows-changed", place, words)]
    try:
        with isolated(spark) as own:
            frame = delta.read(own, contract.target, version)
            key = open_keys(contract.keys).key("digest", str(seal.key["domain"]), int(seal.key["version"]))
            found, rows = digest_of(seal, frame, key)
            return [] if found == seal.content.digest else [fail("rows-changed", place, _differing(seal, rows))]
    except DatawardError as error:
        return [fail("rows-changed", place, f"it cannot be computed: {error}")]
    except Exception as error:
        return [fail("rows-changed", place, f"the version cannot be read ({reason(error)})")]


def _differing(seal: Seal, rows: int) -> str:
    content = seal.content
    differing = [f"version {one} was written by others and is not sealed" for one in content.unsealed]
    if rows != content.rows:
        differing.append(f"{rows:,} rows, sealed are {content.rows:,}")
    if not differing and isinstance(content.basis, int):
        differing.append(f"its rows follow from those of sealed version {content.basis}: verify that one")
    return "; ".join(differing)


def _checks(found: Proved, seal: Seal, findings: Sequence[Finding]) -> Iterable[Check]:
    """Group findings by subject; a group without findings describes what holds."""
    counted, unread = found.counted, any(one.code in HOPELESS for one in findings)
    entries = "1 entry" if found.entries == 1 else f"{found.entries:,} entries"
    holding = {
        "ledger": f"{entries} under a signed checkpoint; entry {found.sealed.index} seals the version",
        "table": "",
        "commit": "" if unread else f"{seal.commit.file} is as sealed, and so is what summarises it",
        "content": "" if unread else f"{counted.files:,} file(s), {counted.bytes:,} bytes are as sealed",
        "newest": "" if unread else f"version {seal.version} is the newest",
        "beside": "",
        "contract": "the contract is the one that was sealed",
    }
    for name, words in holding.items():
        mine = [one for one in findings if section(one.code) == name]
        failing = [one for one in mine if one.fails]
        if failing:
            yield Check(name, False, "; ".join(map(str, failing)))
        elif mine:
            yield Check(name, True, "; ".join(map(str, mine)), warning=True)
        elif words and not (name == "newest" and found.newest != seal.version):
            yield Check(name, True, words)
