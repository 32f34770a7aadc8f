"""Answer a query with differential privacy, charge its budget, and seal the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dataward.pipeline.guard import watched
from dataward.pipeline.paid import Released, answer, asked_of, compiled_for, sha256_of
from dataward.release import budget
from dataward.release.account import decided
from dataward.release.answers import Forecast, forecasts
from dataward.release.audit import Audited, audit
from dataward.release.plan import Cost
from dataward.release.query import Query, load
from dataward.spark.session import isolated
from dataward.verbs.verify import Asked as Verification
from dataward.verbs.verify import Proof, verify_contract

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Planned", "Released", "audit_release", "plan_release", "release", "verify_release"]


@dataclass(frozen=True)
class Planned:
    """Cost and expected errors of a release; nothing is read or spent.

    Attributes:
        release: name of the query.
        version: version of the table.
        mechanism: noise mechanism of the release.
        cost: its privacy loss.
        threshold: fewest units, with noise, of a released group; None: all groups are listed.
        forecasts: half widths of the answers' intervals.
        covered: why the budget does not cover it; empty if it does.
    """

    release: str
    version: int
    mechanism: str
    cost: Cost
    threshold: int | None
    forecasts: tuple[Forecast, ...]
    covered: str


def _nothing(_: str) -> None:
    """Print no progress."""


def plan_release(spark: SparkSession, query: Query | str | Path) -> Planned:
    """Forecast the cost and the errors of a release.

    Raises:
        UsageError: the query does not fit the table.
    """
    found = _query(query)
    with watched("explain", spark=spark, contract=found.contract), isolated(spark) as own:
        asked = asked_of(own, found, "")
        plan, decision = asked.plan, decided(budget.entries(own, asked.query.spend.budget), asked.charge)
        covered = decision.reason if decision.kind == "refusal" else ""
        return Planned(
            asked.query.release,
            asked.version,
            plan.mechanism,
            plan.cost,
            plan.threshold,
            tuple(forecasts(plan)),
            covered,
        )


def release(
    spark: SparkSession, query: Query | str | Path, run_id: str | None = None, say: Callable[[str], None] = _nothing
) -> Released:
    """Answer a query, charge its budget and seal the answer.

    Args:
        spark: the session.
        query: a query, or the path of its file.
        run_id: name of the run; under the same name nothing is drawn or charged twice.
        say: prints progress.

    Raises:
        Overdrawn: the budget does not cover it; nothing is written.
        UsageError: the query does not fit the table, or the run ID belongs to another query.
        SourceError: the table does not exist, or is not sealed.
    """
    asked_for = _query(query)
    with watched("release", spark=spark, contract=asked_for.contract) as finish:
        released = answer(spark, asked_for, run_id, say)
        finish(released)
        return released


def audit_release(spark: SparkSession, query: Query | str | Path, draws: int = 40_000) -> Audited:
    """Attack a query on worst-case neighbours; reads only the table's schema, and spends nothing.

    Raises:
        UsageError: the query does not fit the table.
    """
    found = _query(query)
    with watched("explain", spark=spark, contract=found.contract), isolated(spark) as own:
        return audit(compiled_for(own, found)[1], draws)


def verify_release(spark: SparkSession, query: Query | str | Path, version: int | None = None) -> Proof:
    """Verify a sealed version of a release's target, like ``dataward verify`` does for a contract's."""
    found = _query(query)
    return verify_contract(spark, found.contract, Verification(version, rows=True, contract_sha256=sha256_of(found)))


def _query(given: Query | str | Path) -> Query:
    return given if isinstance(given, Query) else load(given)
