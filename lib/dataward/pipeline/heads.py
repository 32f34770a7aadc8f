"""Publish the ledger's newest checkpoint to the places that a contract names."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from dataward.contract import Contract
from dataward.errors import ProofError, TargetError
from dataward.integrity import heads, ledger

__all__ = ["PUBLISH", "RERUN", "keep_all", "keep_heads"]

RERUN = "Mend it and run the same command again"
PUBLISH = "Mend it, and keep the head with: dataward ledger publish"


def keep_heads(contract: Contract, done: str, finish: str) -> list[str]:
    """Publish the checkpoint; returns a warning for every place that is not required and failed.

    ``done`` describes what is committed although a required place failed, ``finish`` what to do now.

    Raises:
        TargetError: a required place could not be written.
        ProofError: a required place holds a checkpoint that the ledger contradicts.
    """
    if not contract.heads:
        return []
    kept = heads.publish(ledger.open_log(contract.ledger_location), contract.heads)
    failed = [one for one in kept if one.trouble]
    if required := [one for one in failed if one.required]:
        troubles = "; ".join(f"{one.place}: {one.trouble}" for one in required)
        error = ProofError if any(one.contradicts for one in required) else TargetError
        raise error(
            f"{done}; the ledger's head of {required[0].size} entries is not kept at a required place: {troubles}. {finish}"
        )
    return [f"the ledger's head is not kept at {one.place}: {one.trouble}" for one in failed]


def keep_all(contracts: Iterable[Contract], done: str, finish: str, progress: Callable[[str], None]) -> None:
    """Publish the checkpoints of several contracts' ledgers; warnings are shown as progress.

    Raises:
        TargetError, ProofError: a required place failed.
    """
    for contract in contracts:
        for warning in keep_heads(contract, f"{contract.target}: {done}", finish):
            progress(f"  {warning}")
