"""Explain what a publish would read, measure and protect, without running it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from dataward.keys import open_keys
from dataward.pipeline.engine import with_engine
from dataward.pipeline.guard import guarded
from dataward.pipeline.passes import Pass, passes
from dataward.pipeline.plan import Plan
from dataward.pipeline.refresh import Refresh
from dataward.pipeline.refusals import against_names, against_place, against_schema, against_target
from dataward.privacy.protect import ColumnPlan, Protected, protect_in_window
from dataward.quality.explain import Explanation
from dataward.quality.explain import explain as explain_suite
from dataward.quality.repair.fit import normalised
from dataward.spark.session import isolated
from dataward.tables import delta
from dataward.tables.source import MALFORMED, pin

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Explained", "explain"]


@dataclass(frozen=True)
class Explained:
    """Explanation of a publish.

    Attributes:
        reads: description of the source, and of the partitions to read.
        suite: how the rules would be measured.
        protections: how the columns would be protected.
        changes: changes of the target's schema as text.
        passes: the passes over source and target, in order.
    """

    reads: str
    suite: Explanation
    protections: tuple[Protected, ...]
    changes: tuple[str, ...]
    passes: tuple[Pass, ...]


@guarded("explain")
def explain(spark: SparkSession, plan: Plan) -> Explained:
    """Explain a publish from schemas, manifests and, in mode refresh, the states of partitions; reads no data.

    Raises:
        DatawardError: like ``publish`` before it reads anything.
    """
    plan = with_engine(spark, plan)
    contract, now = plan.contract, datetime.now(timezone.utc)
    with isolated(spark) as own:
        keys = open_keys(contract.keys)
        against_place(own, plan)
        pinned = pin(own, contract.source, schema_only=True)
        others = {alias: pin(own, place, schema_only=True) for alias, place in contract.references.items()}
        source, references = pinned.frame, {alias: other.frame.drop(MALFORMED) for alias, other in others.items()}
        suite = against_schema(own, plan, source, references, now)
        against_names(own, plan, source)
        plain = normalised(source, contract.treat).drop(MALFORMED)
        columns = ColumnPlan.resolve(contract, keys, plain.schema)
        _, protections = protect_in_window(own, columns, plain)
        reads, whole = pinned.described, contract.target.mode == "overwrite"
        if contract.target.mode == "refresh":
            refresh = Refresh(own, plan, keys, pinned, others, None)
            reads, whole = f"{reads}, {refresh}", refresh.base is None
        changes = against_target(own, plan, delta.newest(own, contract.target), columns, whole)
        judging = explain_suite(suite, contract.engine, now)
        return Explained(reads, judging, protections, tuple(changes), passes(columns, suite, judging))
