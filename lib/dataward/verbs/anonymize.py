"""Write a k-anonymous copy of a target with the least generalisation of its quasi-identifiers."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataward.contract import Location, Target
from dataward.contract.load import from_caller
from dataward.errors import TargetError, UsageError
from dataward.pipeline.guard import guarded
from dataward.pipeline.plan import Plan
from dataward.privacy.anonymize import Chosen, anonymized, choose, ladder
from dataward.privacy.protect import statistics_columns
from dataward.quality.risk import smallest
from dataward.spark.session import isolated
from dataward.tables import commits, delta

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Anonymized", "anonymize"]


@dataclass(frozen=True)
class Anonymized:
    """Result of an anonymisation.

    Attributes:
        version: version of the target that was read.
        levels: level of generalisation by column.
        chosen: the chosen levels and their cost.
        k: smallest group in the copy, counted after writing; None: no copy was written.
        out: path of the copy; None: no copy was written.
    """

    version: int
    levels: dict[str, str]
    chosen: Chosen
    k: int | None
    out: str | None


@guarded("anonymize")
def anonymize(
    spark: SparkSession, plan: Plan, k: int, most_suppressed: float = 0.05, out: str | None = None
) -> Anonymized:
    """Find the cheapest levels for the contract's ``quasi_identifiers``, and write the newest version at these levels.

    Args:
        spark: the session.
        plan: plan of the contract.
        k: smallest size of a group, at least 2.
        most_suppressed: largest share of rows to leave out, from 0 to below 1.
        out: path of the copy; None: only find the levels.

    Raises:
        UsageError: there are no quasi-identifiers, a level does not fit its column, or ``out`` exists.
        TargetError: the target does not exist, or the copy cannot be written.
        DataError: there are fewer rows than k.
    """
    contract = plan.contract
    if not contract.quasi_identifiers:
        raise UsageError(
            f"contract '{contract.contract}' names no quasi_identifiers: list the columns by which people could be identified"
        )
    if k < 2 or not 0 <= most_suppressed < 1:
        raise UsageError("k is 2 or more, and the share of rows that may be left out is from 0 to below 1")
    place = from_caller(Location, {"path": out}) if out else None
    with isolated(spark) as own:
        if not delta.exists(own, contract.target):
            raise TargetError(f"{contract.target}: there is no table yet. Publish first")
        if place and delta.exists(own, place):
            raise UsageError(f"{out} is a table already: name a path that does not exist")
        version = delta.latest_version(own, contract.target)
        frame = delta.read(own, contract.target, version)
        names = {name.lower(): name for name in frame.columns}
        if missing := [name for name in contract.quasi_identifiers if name.lower() not in names]:
            raise UsageError(f"{contract.target} has no column '{missing[0]}'")
        ladders = [ladder(frame, names[name.lower()], levels) for name, levels in contract.quasi_identifiers.items()]
        chosen = choose(frame, ladders, k, most_suppressed)
        levels_by_column = {
            steps.column: steps.describe(level) for steps, level in zip(ladders, chosen.levels, strict=True)
        }
        if place is None:
            return Anonymized(version, levels_by_column, chosen, None, None)
        copy = anonymized(frame, ladders, chosen.levels, k)
        metadata = {
            "contract": contract.contract,
            "contract_sha256": plan.sha256,
            "anonymized": levels_by_column,
            "k": k,
            "read": version,
        }
        run_id = f"anonymize-{uuid.uuid4().hex[:12]}"
        transaction = commits.Transaction(run_id, metadata, tuple(statistics_columns(contract, copy)))
        commits.commit_target(own, copy, Target(path=place.path), transaction)
        written = delta.read(own, place, delta.latest_version(own, place))
        return Anonymized(
            version, levels_by_column, chosen, smallest(written, [steps.column for steps in ladders]), out
        )
