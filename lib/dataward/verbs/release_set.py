"""Release sets: several tables are published as one entry of a ledger, and readers get all of them or none.

Each table is published and sealed on its own. The release is one entry of the set's ledger that names a sealed version of every
table, appended after the last table; a reader of the set reads these versions, whatever was published since.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dataward.contract import load
from dataward.contract.sets import ReleaseSet
from dataward.errors import DatawardError, ProofError, UsageError
from dataward.integrity import ledger
from dataward.integrity.canonical import canonical
from dataward.integrity.dsse import Envelope
from dataward.integrity.findings import Finding, fail
from dataward.integrity.log.entries import Body
from dataward.integrity.proof.ledger import check_entries, open_ledger
from dataward.integrity.proof.trust import Trust
from dataward.integrity.records import SetMember, SetRelease
from dataward.integrity.seal import code_version
from dataward.integrity.statement import Statement, Subject, predicate_type
from dataward.keys import open_keys
from dataward.pipeline.attest import signer_of
from dataward.pipeline.context import Progress, silent
from dataward.pipeline.guard import caller, guarded
from dataward.pipeline.plan import Plan, plan
from dataward.pipeline.publish import publish
from dataward.pipeline.seal import signer
from dataward.verbs.read import Form, Reading, Wish, reading
from dataward.verbs.verify import Asked, Proof, trusted, verify_contract

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from dataward.contract import Contract

__all__ = ["Released", "SetProof", "publish_set", "read_set", "show_set", "verify_set"]

KIND = "release-set"


@dataclass(frozen=True)
class Released:
    """A release of a set.

    Attributes:
        set: name of the set.
        run_id: the run.
        members: the tables with their versions.
        entry: number of the entry in the set's ledger; None where a table was stopped, so that nothing was released.
        time: time of the entry.
        stopped: contracts whose run was stopped.
    """

    set: str
    run_id: str
    members: tuple[SetMember, ...] = ()
    entry: int | None = None
    time: str = ""
    stopped: tuple[str, ...] = ()


@dataclass(frozen=True)
class SetProof:
    """The proof of a release: findings about the set's ledger, and the proof of every table."""

    released: Released
    findings: tuple[Finding, ...] = ()
    proofs: tuple[Proof, ...] = field(default=())

    @property
    def holds(self) -> bool:
        """Whether the entry and all tables are as released."""
        return not any(one.fails for one in self.findings) and all(proof.holds for proof in self.proofs)


def publish_set(
    spark: SparkSession | None,
    given: ReleaseSet,
    run_id: str | None = None,
    report_folder: str = "reports",
    progress: Progress = silent,
) -> Released:
    """Publish every table of a set, then release them as one. A rerun of a run ID finishes a killed run.

    If a table's run is stopped, nothing is released: readers of the set keep the versions of the release before.

    Args:
        spark: the session; None: publish nothing, and release the newest sealed version of every table after its proof.
        given: the set.
        run_id: ID of the run; default: a new one.
        report_folder: where the reports of the tables' runs are written.
        progress: called with lines about the progress.

    Raises:
        ProofError: the newest version of a table is not as it was sealed.
        UsageError: two contracts have the same target.
        DatawardError: see ``dataward.publish``; nothing is released.
    """
    plans = [plan(file) for file in given.contracts]
    _distinct(plans)
    return _publish(spark, plans, given, _Run(run_id or f"set-{uuid.uuid4().hex[:12]}", report_folder, progress))


@dataclass(frozen=True)
class _Run:
    """A run of a set: its ID, the folder of reports, the progress."""

    run_id: str
    report_folder: str
    progress: Progress


@guarded("publish")
def _publish(spark: SparkSession | None, plans: Sequence[Plan], given: ReleaseSet, run: _Run) -> Released:
    if (done := ledger.find(given.ledger, run.run_id, _target(given), KIND)) is not None:
        return _released(given, done.seq, done.record)
    members = []
    for one in plans:
        if spark is None:
            members.append(_newest(one.contract))
            continue
        run.progress(f"{one.name}:")
        result = publish(spark, one, run.run_id, run.report_folder, run.progress)
        if result.status == "stopped":
            return Released(given.set, run.run_id, stopped=(one.name,))
        members.append(_member(one.contract, str(result.seal["run_id"]) if result.seal else None))
    return _enter(given, run.run_id, caller(spark, plans[0].contract).name, tuple(members))


def _distinct(plans: Sequence[Plan]) -> None:
    seen: dict[str, str] = {}
    for one in plans:
        table = ledger.table_id(one.contract.target)
        if table in seen:
            raise UsageError(
                f"contracts {seen[table]} and {one.name} have the same target {one.contract.target}: keep one of them"
            )
        seen[table] = one.name


def _target(given: ReleaseSet) -> Any:
    return f"set {given.set}"


def _newest(contract: Contract) -> SetMember:
    """Return the newest sealed version of a table, after its proof.

    Raises:
        ProofError: it is not as it was sealed.
    """
    proof = verify_contract(None, contract, Asked())
    if not proof.holds:
        raise ProofError(
            f"{proof.target} version {proof.version}: the proof does not hold: {proof.wrong}. Nothing was released"
        )
    return _member(contract, proof.run_id)


def _member(contract: Contract, run_id: str | None) -> SetMember:
    """Return the version that a run sealed (None: the newest seal's).

    Raises:
        ProofError: the table has no seal.
    """
    place, target = contract.ledger_location, contract.target
    if run_id is None:
        newest = ledger.newest_seal(place, target)
        run_id = newest.run_id if newest else ""
    entry = ledger.find(place, run_id, target)
    if entry is None or entry.body.version is None:
        raise ProofError(
            f"{target}: no version of it is sealed in ledger {place}, so the set cannot be released. Publish it first"
        )
    return SetMember(
        contract=contract.contract,
        target=str(target),
        version=entry.body.version,
        run_id=run_id,
        ledger=str(place),
        statement=entry.body.statement,
        manifest=str(entry.body.manifest),
    )


def _enter(given: ReleaseSet, run_id: str, name: str, members: tuple[SetMember, ...]) -> Released:
    keys, domain = open_keys(given.keys), given.keys.domain
    record = SetRelease(
        contract=given.set,
        run_id=run_id,
        target=_target(given),
        version=None,
        time=ledger.now(),
        who=name,
        code=code_version(),
        key=signer(keys, domain),
        members=members,
    )
    subjects = tuple(Subject(f"manifest of {one.contract}", one.manifest) for one in members)
    attached = ledger.Attached(
        _manifest(members), subjects, signer=signer_of(given.keys, keys, domain, keys.current(domain))
    )
    entry = ledger.append(given.ledger, keys, record, attached)
    return _released(given, entry.seq, record)


def _manifest(members: Iterable[SetMember]) -> bytes:
    """Return the manifest of a release: its members as canonical JSON."""
    return canonical([one.model_dump(mode="json") for one in members]).encode()


def _released(given: ReleaseSet, seq: int, record: Any) -> Released:
    return Released(given.set, record.run_id, record.members, seq, record.time)


def show_set(given: ReleaseSet, number: int | None = None) -> Released:
    """Return a release of a set (None: the newest), without a proof.

    Raises:
        ProofError: there is none, or its statement is missing or was changed.
    """
    return _show([load(file) for file in given.contracts], given, number)


@guarded("ledger_show")
def _show(contracts: Sequence[Contract], given: ReleaseSet, number: int | None) -> Released:
    return _current(given, number)[0]


def _current(given: ReleaseSet, number: int | None = None) -> tuple[Released, ledger.Entry]:
    """Return a release of a set (None: the newest) with its entry, without a proof.

    Raises:
        ProofError: there is none, or its statement is missing or was changed.
    """
    log = ledger.existing(given.ledger)
    mine = ledger.table_id(_target(given))  # not by pointers, as a removed one would hide the newest release
    entries = [one for one in ledger.entries(given.ledger, KIND) if one.body.target == mine]
    found = [one for one in entries if number in (None, one.body.nth)]
    if not found:
        what = "it was never released" if not entries else f"it has releases 0 to {entries[-1].body.nth}, not {number}"
        raise ProofError(f"set {given.set}: {what} in ledger {log}")
    try:
        record = found[-1].record
    except ValueError:
        record = None
    if not isinstance(record, SetRelease):
        raise ProofError(
            f"set {given.set}: the statement of entry {found[-1].seq} of ledger {log} is missing or was changed"
        )
    return _released(given, found[-1].seq, record), found[-1]


def verify_set(
    given: ReleaseSet, public_keys: Sequence[str] = (), number: int | None = None, spark: SparkSession | None = None
) -> SetProof:
    """Verify a release of a set: its entry and statement, and every table at its version. Without Spark for tables at paths.

    Args:
        given: the set.
        public_keys: PEM files of trusted keys; none: the keyrings of the set and of the contracts.
        number: number of the release; None: the newest.
        spark: a session, for tables with a name in the catalog.

    Raises:
        ProofError: there is no such release, or a table has no seal for its version.
    """
    return _verify(spark, [load(file) for file in given.contracts], given, tuple(public_keys), number)


@guarded("verify")
def _verify(
    spark: SparkSession | None,
    contracts: Sequence[Contract],
    given: ReleaseSet,
    public_keys: tuple[str, ...],
    number: int | None,
) -> SetProof:
    known = {one.contract: one for one in contracts}
    released, entry = _current(given, number)
    findings = list(_entry_flaws(given, entry, released, public_keys))
    proofs = []
    for member in released.members:
        contract = known.get(member.contract)
        if contract is None or ledger.table_id(contract.target) != ledger.table_id(member.target):
            findings.append(
                fail("set-member-missing", member.contract, f"the set's file names no contract of {member.target}")
            )
            continue
        if not _as_released(contract, member):
            findings.append(fail("set-member-changed", str(contract.target), f"version {member.version}"))
        proofs.append(verify_contract(spark, contract, Asked(member.version, public_keys=tuple(public_keys))))
    return SetProof(released, tuple(findings), tuple(proofs))


def _entry_flaws(
    given: ReleaseSet, entry: ledger.Entry, released: Released, public_keys: Sequence[str]
) -> Iterable[Finding]:
    """Yield the flaws of an entry: signature, inclusion, statement, manifest."""
    trust = trusted(entry.log, given.keys, public_keys)
    opened, flaws = open_ledger(entry.log, trust)
    yield from flaws
    yield from check_entries(opened, [(entry.seq, entry.body)], entry.seq)
    yield from _statement_flaws(
        entry.body, entry.log.statement(entry.body.statement), trust, released, f"ledger entry {entry.seq}"
    )


def _statement_flaws(body: Body, data: bytes | None, trust: Trust, released: Released, place: str) -> Iterable[Finding]:
    try:
        envelope = Envelope.parse(data or b"")
        statement = Statement.parse(envelope)
        record = SetRelease.model_validate(statement.predicate)
    except ValueError:
        yield fail("statement-changed", place)
        return
    if not envelope.signed_by(trust.keys):
        yield fail("signature-invalid", place)
    manifest = hashlib.sha256(_manifest(record.members)).hexdigest()
    stated = statement.predicate_type, statement.subject[0].sha256, body.manifest, record.members
    if stated != (predicate_type(KIND), manifest, manifest, released.members):
        yield fail("entry-of-other-table", place)


def _as_released(contract: Contract, member: SetMember) -> bool:
    """Return whether the table's ledger has the statement that a release names."""
    entry = ledger.find(contract.ledger_location, member.run_id, contract.target)
    found = (entry.body.statement, entry.body.version, entry.body.manifest) if entry else None
    return found == (member.statement, member.version, member.manifest)


def read_set(
    spark: SparkSession, given: ReleaseSet, *, number: int | None = None, purpose: str = "", form: Form = "spark"
) -> dict[str, Any]:
    """Return the tables of a release by contract: of all, or of none.

    Every table is read like by ``dataward.read``, at its version of the release and after its proof.

    Args:
        spark: the session.
        given: the set.
        number: number of the release; None: the newest.
        purpose: the stated purpose.
        form: ``spark``, ``pandas`` or ``arrow``.

    Raises:
        NotPermitted: no policy permits the caller to read one of the tables.
        ProofError: the set was never released, or the proof of the release or of a table does not hold.
    """
    released, entry = _current(given, number)
    if failing := [one for one in _entry_flaws(given, entry, released, ()) if one.fails]:
        raise ProofError(f"set {given.set}: {'; '.join(map(str, failing))}. Nothing was read")
    plans = {one.name: one for one in map(plan, given.contracts)}
    found: dict[str, Reading] = {}
    for member in released.members:
        one = plans.get(member.contract)
        if one is None or not _as_released(one.contract, member):
            raise ProofError(
                f"set {given.set}: {member.target} version {member.version} is not the released one. Nothing was read"
            )
        try:
            found[member.contract] = reading(spark, one, Wish(member.version, None, purpose, form))
        except DatawardError as error:
            error.args = (f"set {given.set}: {error}",)
            raise
    return {name: one.frame for name, one in found.items()}
