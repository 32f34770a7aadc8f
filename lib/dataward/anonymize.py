"""Write a k-anonymous copy of a target: its quasi-identifiers made as coarse as they must be, and no coarser."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataward.contract import Location, Target
from dataward.errors import TargetError, UsageError
from dataward.plan import Plan
from dataward.privacy.anonymize import Chosen, anonymized, choose, ladder
from dataward.privacy.protect import statistics_columns
from dataward.privacy.risk import smallest
from dataward.session import isolated
from dataward.tables import commits, delta

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Anonymized", "anonymize"]


@dataclass(frozen=True)
class Anonymized:
    """``levels`` by column; ``k`` is counted again on what was written (None: nothing was, without a place to write to)."""

    version: int
    levels: dict[str, str]
    chosen: Chosen
    k: int | None
    out: str | None


def anonymize(
    spark: SparkSession, plan: Plan, k: int, most_suppressed: float = 0.05, out: str | None = None
) -> Anonymized:
    """Find the cheapest levels for the contract's ``quasi_identifiers``, and write the newest version at these levels.

    Raises:
        UsageError: there are no quasi-identifiers, a level does not fit, or there is something at ``out``.
        TargetError: there is no target yet, or the copy cannot be written.
        DataError: there are fewer rows than k.
    """
    contract = plan.contract
    if not contract.quasi_identifiers:
        raise UsageError(
            f"contract '{contract.contract}' names no quasi_identifiers: say by which columns people could be told"
        )
    if k < 2 or not 0 <= most_suppressed < 1:
        raise UsageError("k is 2 or more, and the share of rows that may be left out is from 0 to below 1")
    place = Location(path=out) if out else None
    with isolated(spark) as own:
        if not delta.exists(own, contract.target):
            raise TargetError(f"{contract.target}: there is no table yet. Publish first")
        if place and delta.exists(own, place):
            raise UsageError(f"{out} is a table already: a copy is only written to a new place")
        version = delta.latest_version(own, contract.target)
        frame = delta.read(own, contract.target, version)
        there = {name.lower(): name for name in frame.columns}
        if missing := [name for name in contract.quasi_identifiers if name.lower() not in there]:
            raise UsageError(f"{contract.target} has no column '{missing[0]}'")
        ladders = [ladder(frame, there[name.lower()], levels) for name, levels in contract.quasi_identifiers.items()]
        chosen = choose(frame, ladders, k, most_suppressed)
        told = {one.column: one.told(level) for one, level in zip(ladders, chosen.levels, strict=True)}
        if place is None:
            return Anonymized(version, told, chosen, None, None)
        ready = anonymized(frame, ladders, chosen.levels, k)
        metadata = {
            "contract": contract.contract,
            "contract_sha256": plan.sha256,
            "anonymized": told,
            "k": k,
            "read": version,
        }
        run_id = f"anonymize-{uuid.uuid4().hex[:12]}"
        commits.commit_target(
            own, ready, Target(path=place.path), run_id, metadata, statistics_columns(contract, ready)
        )
        written = delta.read(own, place, delta.latest_version(own, place))
        return Anonymized(version, told, chosen, smallest(written, [one.column for one in ladders]), out)
