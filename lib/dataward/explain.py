"""What a publish would measure and protect, and how, told before it runs."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from dataward.plan import Plan, against_schema, against_target
from dataward.privacy.keys import open_keys
from dataward.privacy.protect import Protected, protect_in_window
from dataward.quality.explain import Explanation
from dataward.quality.explain import explain as explain_suite
from dataward.quality.repair.fit import normalised
from dataward.session import isolated
from dataward.tables.source import MALFORMED, pin

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["explain"]


def explain(spark: SparkSession, plan: Plan) -> tuple[Explanation, tuple[Protected, ...]]:
    """How a contract's rules will be measured and its columns protected; reads schemas and manifests, no data.

    Raises:
        DatawardError: as ``publish`` would before it reads anything.
    """
    contract, now = plan.contract, datetime.now(timezone.utc)
    with isolated(spark) as own:
        keys = open_keys(contract.keys)
        source = pin(own, contract.source).frame
        references = {alias: pin(own, place).frame.drop(MALFORMED) for alias, place in contract.references.items()}
        suite = against_schema(own, plan, source, references, now)
        against_target(own, plan)
        _, protections = protect_in_window(own, contract, keys, normalised(source, contract.treat).drop(MALFORMED))
        return explain_suite(suite, contract.engine, now), protections
