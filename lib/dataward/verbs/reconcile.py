"""Seal commits of killed runs that nobody can rerun, such as runs whose source is gone.

Each commit of a run has a MAC under the digest's key. A commit with that MAC and without a seal is adopted: its added and removed
rows are read from its files, and a seal states that its verdicts were not recorded. Everything else is listed with the reason.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.errors import DatawardError, KeyringError
from dataward.integrity import ledger
from dataward.integrity.log import entries as pointers
from dataward.keys import Keyring, open_keys
from dataward.pipeline.content import REREAD, commit_mac
from dataward.pipeline.guard import guarded
from dataward.pipeline.plan import Plan
from dataward.pipeline.seal import SealingRun, same_keys, seal_version
from dataward.spark.session import isolated
from dataward.tables import delta
from dataward.tables.delta import Commit

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Adopted", "Left", "Reconciled", "reconcile"]


@dataclass(frozen=True)
class Adopted:
    """A version that was sealed now (``entry``; None in a dry run), and the run that wrote it."""

    version: int
    run_id: str
    rows: int
    entry: int | None


@dataclass(frozen=True)
class Left:
    """A commit without a seal that cannot be adopted: why, and what to do."""

    version: int
    operation: str
    run_id: str
    why: str
    next: str


@dataclass(frozen=True)
class Reconciled:
    """The adopted versions, and the commits that are left without a seal."""

    target: str
    adopted: tuple[Adopted, ...]
    left: tuple[Left, ...]


@guarded("reconcile")
def reconcile(spark: SparkSession, plan: Plan, dry_run: bool = False) -> Reconciled:
    """Seal the commits of killed runs in the target, oldest first.

    Raises:
        KeyringError: the keyring is not the one that sealed the table.
        TargetError: a version that the sums follow from differs from its seal, or the ledger cannot be written.
    """
    contract = plan.contract
    with isolated(spark) as own:
        keys = open_keys(contract.keys)
        same_keys(own, contract, keys)
        adopted: list[Adopted] = []
        left: list[Left] = []
        for commit in _unsealed(own, plan):
            why, remedy = _obstacle(plan, keys, commit)
            if why:
                left.append(Left(commit.version, commit.operation, _run_of(commit), why, remedy))
                continue
            entry = None if dry_run else _adopt(own, plan, keys, commit)
            adopted.append(Adopted(commit.version, _run_of(commit), commit.rows, entry))
    return Reconciled(str(contract.target), tuple(adopted), tuple(left))


def _run_of(commit: Commit) -> str:
    return str(commit.metadata.get("run_id") or "")


def _unsealed(spark: SparkSession, plan: Plan) -> list[Commit]:
    """Return the commits without a seal that may change rows, oldest first; those that were taken back are none."""
    contract = plan.contract
    log = ledger.open_log(contract.ledger_location)
    chain = pointers.chain_of(log, "seal", ledger.table_id(contract.target)) if log.origin() else ()
    sealed = {body.version for _, body in chain}
    found = list(delta.commits(spark, contract.target))[::-1]
    gone = {int(one.metadata["takes_back"]) for one in found if "takes_back" in one.metadata}
    return [
        one
        for one in found
        if one.version not in sealed | gone
        and "takes_back" not in one.metadata
        and one.operation not in delta.ROW_NEUTRAL
    ]


def _obstacle(plan: Plan, keys: Keyring, commit: Commit) -> tuple[str, str]:
    """Return why a commit cannot be adopted, and what to do; empty where it can."""
    run_id, metadata = _run_of(commit), commit.metadata
    if not run_id or not _attested(plan, keys, commit):
        return "it was not made by a run with this keyring", "restore a sealed version, or publish in mode overwrite"
    if ledger.find(plan.contract.ledger_location, run_id, plan.contract.target) is not None:
        return f"run {run_id} has sealed another version", "it repeats that run's name: restore a sealed version"
    if "verdicts_sha256" not in metadata:
        verb = "restore" if "restores" in metadata else run_id.split("-", 1)[0]
        again = f" with --run-id {run_id}" if verb == "restore" else ""
        return f"the run of dataward {verb} was not finished", f"run dataward {verb} again{again}"
    if metadata.get("releases"):
        return (
            "it belongs to a release from the quarantine that was not finished",
            "run dataward quarantine release again",
        )
    return "", ""


def _attested(plan: Plan, keys: Keyring, commit: Commit) -> bool:
    """Return whether a commit has the MAC of a run, under any version of the domain's key."""
    return any(hmac.compare_digest(str(commit.metadata.get("mac")), mac) for mac in _macs(plan, keys, commit.metadata))


def _macs(plan: Plan, keys: Keyring, metadata: Mapping[str, Any]) -> Iterator[str]:
    domain = plan.contract.keys.domain
    for version in keys.versions(domain):
        with suppress(KeyringError):
            yield commit_mac(keys.key("digest", domain, version), plan.contract, str(metadata["run_id"]), metadata)


def _adopt(spark: SparkSession, plan: Plan, keys: Keyring, commit: Commit) -> int:
    """Seal a commit with what it states itself; returns the number of the entry."""
    contract, metadata = plan.contract, commit.metadata
    place = contract.quarantine_location
    diverted = delta.find_run(spark, place, _run_of(commit)) if place else None
    quarantined = diverted.rows if diverted else 0
    earlier = ledger.newest_seal(contract.ledger_location, contract.target)
    described = f"adopted by reconcile: run {_run_of(commit)} was killed before its seal; its verdicts and dropped rows are not recorded"
    source = {"version": None, "sha256": None, **(metadata.get("source") or {}), "described": described}
    seal_version(
        spark,
        SealingRun(contract, str(metadata["contract_sha256"]), keys, _run_of(commit)),
        commit.version,
        REREAD,
        source=source,
        references=metadata.get("references") or {},
        verdicts=[],
        rows={"in": commit.rows + quarantined, "published": commit.rows, "quarantined": quarantined, "dropped": 0},
        protections=earlier.protections if earlier else [],
        quarantine={"path": str(place), "version": diverted.version, "rows": diverted.rows} if diverted else None,
    )
    entry = ledger.find(contract.ledger_location, _run_of(commit), contract.target)
    if entry is None:
        raise DatawardError(f"{contract.target}: version {commit.version} was sealed, and its entry cannot be found")
    return entry.seq
