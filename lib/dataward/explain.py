"""What a publish would read, measure and protect, and how, told before it runs."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from dataward.plan import Plan, against_schema, against_target
from dataward.privacy.keys import open_keys
from dataward.privacy.protect import Protected, protect_in_window
from dataward.quality.explain import Explanation
from dataward.quality.explain import explain as explain_suite
from dataward.quality.repair.fit import normalised
from dataward.refresh import Refresh
from dataward.session import isolated
from dataward.tables.source import MALFORMED, pin

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["explain"]


def explain(spark: SparkSession, plan: Plan) -> tuple[str, Explanation, tuple[Protected, ...]]:
    """What of the source will be read, how a contract's rules will be measured and its columns protected.

    Reads schemas, manifests and, of a table that is refreshed, what is known of its partitions; no data.

    Raises:
        DatawardError: as ``publish`` would before it reads anything.
    """
    contract, now = plan.contract, datetime.now(timezone.utc)
    with isolated(spark) as own:
        keys = open_keys(contract.keys)
        pinned = pin(own, contract.source)
        others = {alias: pin(own, place) for alias, place in contract.references.items()}
        source, references = pinned.frame, {alias: other.frame.drop(MALFORMED) for alias, other in others.items()}
        suite = against_schema(own, plan, source, references, now)
        against_target(own, plan)
        _, protections = protect_in_window(own, contract, keys, normalised(source, contract.treat).drop(MALFORMED))
        reads = pinned.described
        if contract.target.mode == "refresh":
            reads += f", {Refresh(own, contract, plan.sha256, keys, pinned, others, None)}"
        return reads, explain_suite(suite, contract.engine, now), protections
