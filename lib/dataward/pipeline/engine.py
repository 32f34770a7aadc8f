"""Choose the engine of a contract's rules: Spark 4 and Spark Connect have no Deequ."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dataward.errors import SessionError
from dataward.pipeline.plan import Plan
from dataward.spark.java_side import DEEQU, has_class

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["with_engine"]


def with_engine(spark: SparkSession, plan: Plan) -> Plan:
    """Return a plan whose contract names an engine that the session has; nothing is read.

    A contract without ``engine`` gets ``deequ`` where the session has Deequ, else ``spark``.

    Raises:
        SessionError: the contract demands Deequ, for its rules or for its own checks, and the session has none.
    """
    contract = plan.contract
    if (contract.engine != "deequ" and not contract.checks) or has_class(spark, DEEQU):
        return plan
    none = f"Deequ, which this session does not have: Spark {spark.version}; no Deequ is published for Spark 4, and none runs on Connect"
    if contract.checks:
        raise SessionError(
            f"contract {plan.name}: checks: {contract.checks} needs {none}. Write the checks as rules and remove 'checks'"
        )
    if contract.engine == "deequ" and "engine" in contract.model_fields_set:
        raise SessionError(f"contract {plan.name}: engine: deequ needs {none}. Write engine: spark, or remove the line")
    return replace(plan, contract=contract.model_copy(update={"engine": "spark"}))
