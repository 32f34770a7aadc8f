"""Recompute everything that a seal says, and name what does not hold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataward.contract import Contract
from dataward.errors import ProofError
from dataward.integrity import ledger
from dataward.integrity.digest import Content, digest
from dataward.integrity.seal import Seal
from dataward.keys import KeyProvider, PublicKeys, open_keys
from dataward.pipeline.guard import guarded
from dataward.pipeline.plan import Plan
from dataward.spark.session import isolated
from dataward.tables import delta
from dataward.tables.reason import reason

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Check", "Proof", "verify"]


@dataclass(frozen=True)
class Check:
    """One thing that was recomputed. ``warning``: it differs in a way that is no sign of tampering."""

    name: str
    holds: bool
    detail: str
    warning: bool = False


@dataclass(frozen=True)
class Proof:
    """All checks of one version."""

    contract: str
    target: str
    version: int
    run_id: str
    sealed_at: str
    checks: tuple[Check, ...]

    @property
    def holds(self) -> bool:
        """Whether all checks hold."""
        return all(check.holds for check in self.checks)


@guarded("verify")
def verify(spark: SparkSession, plan: Plan, version: int | None = None) -> Proof:
    """Check a sealed version of the contract's target (default: the newest sealed one).

    Raises:
        ProofError: there is nothing to check against: no ledger, no seal for the version, no table.
    """
    with isolated(spark) as own:
        contract = plan.contract
        keys = open_keys(contract.keys)
        mine = ledger.entries(contract.ledger_location, "seal", contract.target)
        mine = [entry for entry in mine if entry.seal_text]
        wanted = [entry for entry in mine if version is None or entry.seal.version == version]
        if not wanted:
            raise ProofError(_nothing_sealed(contract, {entry.seal.version for entry in mine}, version))
        entry = wanted[-1]
        seal = entry.seal
        checks = [_check_chain(contract, keys)]
        if not delta.exists(own, contract.target):
            checks.append(Check("table", False, f"{contract.target}: there is no Delta table any more"))
        else:
            checks.append(_check_commit(own, plan, seal))
            checks.append(_check_content(own, plan, keys, entry, seal.version))
            if version is None:
                checks.append(_check_newest(own, plan, keys, entry))
        checks.append(_check_contract(plan, seal))
        return Proof(contract.contract, str(contract.target), seal.version, seal.run_id, seal.time, tuple(checks))


def _nothing_sealed(contract: Contract, sealed: set[int], version: int | None) -> str:
    """What to say where there is no seal to check."""
    if not sealed:
        return f"{contract.target}: no version of it is sealed in ledger {contract.ledger_location}. Publish first"
    there = f"sealed are {min(sealed)} to {max(sealed)}" if len(sealed) > 1 else f"sealed is {min(sealed)} alone"
    return f"{contract.target}: version {version} is not sealed in ledger {contract.ledger_location}; {there}"


def _check_chain(contract: Contract, keys: PublicKeys) -> Check:
    checked = ledger.flaws(contract.ledger_location, keys)
    told = f"{checked.head.size} entries under a signed checkpoint"
    return Check("ledger", not checked.flaws, "; ".join(flaw.message for flaw in checked.flaws) or told)


def _check_commit(spark: SparkSession, plan: Plan, seal: Seal) -> Check:
    path, found = delta.commit_file(spark, plan.contract.target, seal.version)
    if found is None:
        return Check("commit", False, f"{path}: the commit file is gone (log retention or removal)")
    held = found == seal.commit.sha256
    return Check("commit", held, f"{seal.commit.file} is as sealed" if held else f"{path}: the commit file was changed")


def _check_content(spark: SparkSession, plan: Plan, keys: KeyProvider, entry: ledger.Entry, version: int) -> Check:
    seal, target = entry.seal, plan.contract.target
    try:
        key = keys.key("digest", str(seal.key["domain"]), int(seal.key["version"]))
        found = digest(delta.read(spark, target, version), key, seal.content.nonce)
    except Exception as error:
        file = re.search(r"[^\s/]+\.parquet", str(error))
        where = f"data file {file.group(0)}" if file else f"version {version}"
        return Check("content", False, f"{target}: {where} cannot be read ({reason(error)})")
    if found.digest == seal.content.digest:
        return Check("content", True, f"{found.rows:,} rows in {len(found.files)} file(s) are as sealed")
    return Check("content", False, f"{target}: {'; '.join(_differences(entry, found))}")


def _differences(entry: ledger.Entry, found: Content) -> list[str]:
    sealed, here = ({file.path: file for file in files} for files in (entry.files, found.files))
    told = [
        f"data file {name}: its rows were changed" for name in sealed if name in here and sealed[name] != here[name]
    ]
    told += [f"data file {name}: sealed, but not in the table" for name in sealed if name not in here]
    told += [f"data file {name}: in the table, but not sealed" for name in here if name not in sealed]
    return told or ["the schema was changed"]


def _check_newest(spark: SparkSession, plan: Plan, keys: KeyProvider, entry: ledger.Entry) -> Check:
    """What came after the newest seal must not have changed a row."""
    target, seal = plan.contract.target, entry.seal
    later = [commit for commit in delta.history(spark, target) if commit.version > seal.version]
    if not later:
        return Check("newest", True, f"version {seal.version} is the newest")
    foreign = [commit for commit in later if commit.operation not in delta.ROW_NEUTRAL]
    if foreign:
        told = [
            f"version {commit.version} ({commit.operation}"
            + (
                f" of run {commit.metadata['run_id']}: rerun it with this --run-id to seal it"
                if "run_id" in commit.metadata
                else ""
            )
            + ") is not sealed"
            for commit in foreign
        ]
        return Check("newest", False, f"{target}: {'; '.join(told)}")
    again = _check_content(spark, plan, keys, entry, later[0].version)
    names = ", ".join(sorted({commit.operation for commit in later}))
    return Check("newest", again.holds, f"only {names} since; same rows" if again.holds else again.detail)


def _check_contract(plan: Plan, seal: Seal) -> Check:
    if plan.sha256 == seal.contract_sha256:
        return Check("contract", True, "the contract is the one that was sealed")
    return Check("contract", True, "the contract was edited after this version was sealed", warning=True)
