"""Exclude forgotten people: their rows are diverted, or dropped before the rules judge."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dataward.contract import Contract
from dataward.privacy.erased import ERASED, Memory
from dataward.quality.rules import NotErased
from dataward.quality.suite import Suite

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from dataward.pipeline.context import Context

__all__ = ["count_forgotten", "memory_of", "with_rule", "without_forgotten"]


def memory_of(ctx: Context) -> Memory | None:
    """Return the memory of forgotten people; None where there are none."""
    memory = Memory(ctx.spark, ctx.contract, ctx.keys)
    return memory if memory.exists() else None


def with_rule(contract: Contract, memory: Memory | None, suite: Suite) -> Suite:
    """Add the rule that diverts rows of forgotten people, where the contract does not drop them."""
    if memory is None or contract.erasure is None or _drops(contract):
        return suite
    return replace(suite, rules=(NotErased.of(ERASED, contract.erasure.subject), *suite.rules))


def count_forgotten(contract: Contract, memory: Memory | None, frame: DataFrame) -> int:
    """Count the rows to drop; a Spark job only where there may be any."""
    return int(memory.flagged(frame).where(ERASED).count()) if memory and _drops(contract) else 0


def without_forgotten(contract: Contract, memory: Memory | None, frame: DataFrame) -> DataFrame:
    """Drop rows of forgotten people, or add the column by which the rule diverts them."""
    if memory is None:
        return frame
    flagged = memory.flagged(frame)
    return flagged.where(f"not {ERASED}").drop(ERASED) if _drops(contract) else flagged


def _drops(contract: Contract) -> bool:
    return contract.erasure is not None and contract.erasure.returns == "drop"
