"""Restore a sealed version of a target; the resulting version is sealed as well."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataward.contract import Contract
from dataward.errors import ProofError, TargetError, UsageError
from dataward.integrity import ledger
from dataward.integrity.seal import Seal
from dataward.keys import open_keys
from dataward.pipeline.content import Sealing, commit_mac
from dataward.pipeline.content import restored as as_sealed
from dataward.pipeline.guard import guarded
from dataward.pipeline.plan import Plan
from dataward.pipeline.seal import SealingRun, same_keys, seal_version
from dataward.spark.session import isolated
from dataward.tables import commits, delta, turns
from dataward.tables.named import named
from dataward.tables.reason import reason
from dataward.verbs.verify import Asked, verify_contract

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Restored", "restore"]


@dataclass(frozen=True)
class Restored:
    """The version that a restore made, the sealed version that it equals, and the run that sealed it."""

    target: str
    version: int
    restored: int
    run_id: str
    rows: int


@guarded("restore")
def restore(spark: SparkSession, plan: Plan, to: int, run_id: str | None = None) -> Restored:
    """Restore a sealed version as the newest one, and seal it. A rerun of a run ID finishes the run.

    The version is verified first, so that no tampered version is restored.

    Raises:
        ProofError: the version is not sealed, or differs from its seal.
        TargetError: its files were removed, or the table cannot be written.
        KeyringError: the keyring is not the one that sealed the table.
    """
    contract, run = plan.contract, run_id or f"restore-{uuid.uuid4().hex[:12]}"
    with isolated(spark) as own:
        keys = open_keys(contract.keys)
        same_keys(own, contract, keys)
        if (entry := ledger.find(contract.ledger_location, run, contract.target)) is not None:
            return _earlier(contract, run, entry.seal if entry.seal_text else None, to)
        sealed = _sealed(plan, to)
        done = delta.find_run(own, contract.target, run)
        if done is None:
            _intact(plan, to)
            secret = keys.key("digest", contract.keys.domain, keys.current(contract.keys.domain))
            done = _restored(own, plan, to, run, secret)
        rows = int(delta.read(own, contract.target, done.version).count())
        source = {
            "described": _described(contract, to),
            "version": to,
            "sha256": sealed.content.digest,
        }
        domain = contract.keys.domain
        change = as_sealed(Sealing(own, contract, keys, domain, keys.current(domain), done.version), sealed)
        seal_version(
            own, SealingRun(contract, plan.sha256, keys, run), done.version, change, source=source, verdicts=sealed.verdicts,
            rows={"in": rows, "published": rows, "quarantined": 0, "dropped": 0}, protections=sealed.protections, quarantine=None,
        )  # fmt: skip
        return Restored(str(contract.target), done.version, to, run, rows)


def _earlier(contract: Contract, run: str, seal: Seal | None, to: int) -> Restored:
    """Return what a run did that is sealed already.

    Raises:
        UsageError: it was another run than this restoration.
    """
    if seal is None or seal.source.get("described") != _described(contract, to):
        raise UsageError(f"run id '{run}' is sealed already, and did not restore version {to}; give a new --run-id")
    return Restored(str(contract.target), seal.version, to, run, seal.rows["published"])


def _described(contract: Contract, to: int) -> str:
    return f"{contract.target} version {to}, restored"


def _sealed(plan: Plan, version: int) -> Seal:
    contract = plan.contract
    for entry in reversed(ledger.entries(contract.ledger_location, "seal", contract.target)):
        if entry.body.version == version and entry.seal_text:
            return entry.seal
    raise ProofError(
        f"{contract.target}: version {version} is not sealed in ledger {contract.ledger_location}; see: dataward history"
    )


def _intact(plan: Plan, version: int) -> None:
    proof = verify_contract(None, plan.contract, Asked(version))
    if failing := [check for check in proof.checks if not check.holds]:
        raise ProofError(
            f"{proof.target}: version {version} is not as it was sealed, so it is not restored: {failing[0].detail}"
        )
    if gone := [one.place for one in proof.findings if one.code == "data-file-gone"]:
        raise TargetError(
            f"{proof.target}: version {version} cannot be restored: {len(gone)} of its files are gone, such as {gone[0]}"
        )


def _restored(spark: SparkSession, plan: Plan, to: int, run: str, secret: bytes) -> delta.Commit:
    target = plan.contract.target
    metadata = {"dataward": 1, "run_id": run, "restores": to, "contract_sha256": plan.sha256}
    marker = json.dumps({**metadata, "mac": commit_mac(secret, plan.contract, run, metadata)})
    try:
        with turns.exclusive(spark, target, run, mending=True), named(spark, marker):
            commits.restore_to(spark, target, to)
    except Exception as error:
        raise TargetError(f"{target}: version {to} cannot be restored ({reason(error)})") from None
    done = delta.find_run(spark, target, run)
    if done is None:  # Delta writes no commit without changes
        raise UsageError(f"{target}: the newest version holds what version {to} holds: nothing to restore")
    return done
