"""Make the manifest of a version that is being sealed, and the signer of its statement."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib import metadata
from itertools import islice
from typing import TYPE_CHECKING

from dataward.contract import Contract, Keys, Location
from dataward.errors import ProofError, TargetError
from dataward.integrity import ledger
from dataward.integrity.dsse import Ed25519Signer, Signer
from dataward.integrity.hashing import hash_files
from dataward.integrity.log import entries as pointers
from dataward.integrity.log.log import Log
from dataward.integrity.manifest import Attested, Manifest, attested, build, needed
from dataward.integrity.seal import Seal, SealedBeside
from dataward.integrity.statement import Subject
from dataward.keys import KeyProvider, service_signer, signing_key
from dataward.spark.hmac import sha256_of_files
from dataward.spark.kind import is_remote
from dataward.tables import delta
from dataward.tables.deltalog.actions import Damaged, Key
from dataward.tables.deltalog.folder import Folder, Missing
from dataward.tables.deltalog.hadoop import table_folder
from dataward.tables.deltalog.log import CommitFile, State, read_commit
from dataward.tables.deltalog.state import state_at
from dataward.tables.reason import reason
from dataward.tables.through import SparkFolder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["BESIDE", "attached", "beside_of", "changed_before", "environment", "predecessor", "signer_of"]

BESIDE = ("quarantine", "changes", "history")
"""Tables beside the target that seals attest."""

RECENT = 32
"""Newest seals among which the predecessor is searched: concurrent runs are sealed in any order."""


def signer_of(named: Keys, keys: KeyProvider, domain: str, version: int) -> Signer:
    """Return the signer of statements: the key in a service if ``keys.sign`` of a file names one, else the domain's key."""
    if named.sign:
        return service_signer(named.sign)
    return Ed25519Signer(signing_key(keys, domain, version))


def _manifest(spark: SparkSession, log: Log, place: Location, version: int, earlier: Manifest | None) -> Manifest:
    if earlier is not None and earlier.version == version:
        return earlier
    table = table_folder(spark, place)
    try:
        commits = [read_commit(table, one) for one in range(earlier.version + 1 if earlier else 0, version + 1)]
        whole, known = None, dict[str, str]()
    except (Missing, Damaged):  # the log before the version was removed: log cleanup, erasure
        commits, whole = _alone(table, place, version)
        known = _hashes(_attested(log, earlier)) if earlier else {}
    paths = needed(commits) if whole is None else list(dict.fromkeys([*_all_paths(whole), *needed(commits)]))
    try:
        hashes = known | _hashed(spark, table, [path for path in paths if path not in known], commits, whole)
    except Exception as error:
        raise TargetError(f"{place}: a file of version {version} cannot be hashed ({reason(error)})") from None
    return build(commits, hashes, earlier, lambda: _attested(log, earlier), whole)


def beside_of(spark: SparkSession, contract: Contract) -> tuple[dict[str, SealedBeside], tuple[bytes, ...]]:
    """Attest the tables beside the target as they are now: quarantine, changed cells, metric history.

    Returns:
        The entries of the seal, and the manifests of these tables, which are entered with the seal.

    Raises:
        TargetError: one of them cannot be read.
    """
    log = ledger.open_log(contract.ledger_location)
    earlier = ledger.newest_seal(contract.ledger_location, contract.target)
    found, manifests = {}, []
    for what, place in _beside(contract).items():
        newest = delta.newest(spark, place)
        if newest is None:
            continue
        version = newest.version
        before = earlier.beside.get(what) if earlier else None
        known = _read(log, before.manifest) if before and before.version <= version else None
        made = _manifest(spark, log, place, version, known)
        manifests.append(made.text())
        found[what] = SealedBeside(table=made.table, version=version, manifest=made.sha256)
    return found, tuple(manifests)


def changed_before(spark: SparkSession, contract: Contract, version: int, earlier: Manifest | None) -> tuple[str, ...]:
    """Return the files that runs since the earlier manifest replaced, and whose bytes are not those that a seal attests.

    Only removed files are read: the run has read them as well.
    """
    if earlier is None:
        return ()
    log = ledger.open_log(contract.ledger_location)
    table = table_folder(spark, contract.target)
    with suppress(Missing, Damaged):  # the log before the version was removed: nothing is left to compare
        commits = [read_commit(table, one) for one in range(earlier.version + 1, version + 1)]
        gone = {one.key for commit in commits if commit.info.dataward for one in commit.removed}
        if not gone:
            return ()
        known = _sealed_files(log, earlier, gone)
        root = str(table).rstrip("/")
        full = {path if path.startswith("/") or "://" in path else f"{root}/{path}": path for path in known}
        with suppress(Exception):  # a file that is gone already, as in an erasure
            found = sha256_of_files(spark, {name: known[path][0] for name, path in full.items()})
            return tuple(sorted(path for name, path in full.items() if found[name] != known[path][1]))
    return ()


def _sealed_files(log: Log, newest: Manifest, keys: set[Key]) -> dict[str, tuple[int, str]]:
    """Return size and SHA-256 of data files and deletion vectors as attested, newest manifests first, until all are known."""
    found: dict[str, tuple[int, str]] = {}
    wanted, paths, manifest = set(keys), {path for path, _ in keys}, newest
    while True:
        added = [one for commit in reversed(manifest.commits) for one in commit.added]
        for one in (*added, *(manifest.files or ())):
            if one.path in paths and one.sha256:
                found[one.path] = (one.size, one.sha256)
                paths.discard(one.path)
            if one.key in wanted:
                wanted.discard(one.key)
                if one.vector and one.vector.path and one.vector.sha256:
                    found[one.vector.path] = (0, one.vector.sha256)
        if not (wanted or paths) or manifest.whole or manifest.predecessor is None:
            return found
        manifest = _read(log, manifest.predecessor.sha256)


def _beside(contract: Contract) -> dict[str, Location]:
    return {what: place for what, place in contract.tables.items() if what in BESIDE}


def attached(
    spark: SparkSession,
    contract: Contract,
    keys: KeyProvider,
    seal: Seal,
    documents: tuple[bytes, ...],
    earlier: Manifest | None,
) -> ledger.Attached:
    """Return the subjects of a seal's statement: the manifest of the version, which follows from the earlier one, and those beside it.

    The files of earlier sealed versions are not read again.

    Raises:
        TargetError: the log or a file of the version cannot be read.
    """
    log = ledger.open_log(contract.ledger_location)
    made = _manifest(spark, log, contract.target, seal.version, earlier)
    made = _without_others(made, set(seal.content.unsealed))
    subjects = tuple(Subject(f"manifest of {what}", one.manifest) for what, one in seal.beside.items())
    more = {"table": made.table, **({"whole": True} if made.whole else {})}
    signer = signer_of(contract.keys, keys, str(seal.key["domain"]), int(seal.key["version"]))
    return ledger.Attached(made.text(), subjects, documents, more, signer)


def _without_others(made: Manifest, others: set[int]) -> Manifest:
    """Mark commits of other writers as such, whatever their metadata; only the holder of the key can decide it."""
    commits = tuple(one.model_copy(update={"ours": False}) if one.version in others else one for one in made.commits)
    return made.model_copy(update={"commits": commits})


def environment(spark: SparkSession) -> dict[str, str]:
    """Return the versions of Python, Spark and the packages that a run used."""
    found = {"python": platform.python_version(), "system": platform.system(), "spark": spark.version}
    for name in ("delta-spark", "pydeequ", "pyarrow", "cryptography"):
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _hashed(
    spark: SparkSession, table: Folder, paths: list[str], commits: list[CommitFile], whole: State | None
) -> dict[str, str]:
    listed = [one for commit in commits for one in commit.added] + list(whole.files.values() if whole else ())
    sizes = {one.path: one.size for one in listed} | {one.path: one.size for commit in commits for one in commit.feed}
    sizes |= {one.vector.path: one.vector.size for one in listed if one.vector and one.vector.path}
    root = str(table).rstrip("/")
    full = {path if path.startswith("/") or "://" in path else f"{root}/{path}": path for path in paths}
    try:
        found = sha256_of_files(spark, {name: sizes[path] for name, path in full.items()})
    except Exception:
        if not is_remote(spark) or isinstance(table, SparkFolder):
            raise
        # The server reads no single files of a table (Databricks serverless): this process does.
        return {one.path: one.sha256 for one in hash_files(table, paths).values() if one.sha256}
    return {full[name]: sha256 for name, sha256 in found.items()}


def _alone(table: Folder, place: Location, version: int) -> tuple[list[CommitFile], State]:
    try:
        return [read_commit(table, version)], state_at(table, version)
    except (Missing, Damaged) as error:
        raise TargetError(f"{place}: the log of version {version} cannot be read ({error})") from None


def _all_paths(state: State) -> list[str]:
    paths = [one.path for one in state.files.values()]
    return paths + [one.vector.path for one in state.files.values() if one.vector and one.vector.path]


def predecessor(contract: Contract, version: int) -> Manifest | None:
    """Return the manifest of the newest version, up to this one, that is sealed; None where none has a manifest of files."""
    log = ledger.open_log(contract.ledger_location)
    if log.origin() is None:
        return None
    recent = [body for _, body in islice(pointers.chain_of(log, "seal", ledger.table_id(contract.target)), RECENT)]
    fitting = [
        (body.version, body.manifest) for body in recent if body.about.get("table") and (body.version or 0) <= version
    ]
    newest = max(fitting, key=lambda one: one[0] or 0, default=None)
    return _read(log, newest[1]) if newest and newest[1] else None


def _read(log: Log, sha256: str) -> Manifest:
    data = log.statement(sha256)
    if data is not None:
        with suppress(ValueError):
            return Manifest.parse(data)
    raise ProofError(
        f"ledger {log}: statements/{sha256}, the manifest of a sealed version, is missing or was changed. Restore it from your backup"
    )


def _attested(log: Log, newest: Manifest | None) -> Attested:
    """Return the state that the manifests up to one attest."""
    chain = [newest] if newest else []
    while chain and not chain[-1].whole and (before := chain[-1].predecessor):
        chain.append(_read(log, before.sha256))
    return attested(chain[::-1])


def _hashes(state: Attested) -> dict[str, str]:
    found = {one.path: one.sha256 for one in state.files.values() if one.sha256}
    vectors = [one.vector for one in state.files.values() if one.vector]
    return found | {one.path: one.sha256 for one in vectors if one.path and one.sha256}
