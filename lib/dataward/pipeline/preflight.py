"""Preflight: refuse runs that cannot succeed, before a row is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataward.contract import Contract
from dataward.contract.reserved import MALFORMED
from dataward.errors import KeyringError
from dataward.integrity import ledger
from dataward.keys import Keyring, has_keyring, open_keys
from dataward.pipeline.context import Context
from dataward.pipeline.forget import memory_of, with_rule
from dataward.pipeline.intake.base import Pinned, Ready
from dataward.pipeline.metric_history import recall
from dataward.pipeline.refusals import against_keys, against_names, against_schema, against_target
from dataward.pipeline.seal import same_keys
from dataward.pipeline.small import settle_small
from dataward.privacy.protect import ColumnPlan
from dataward.quality.repair.fit import normalised
from dataward.report import openlineage
from dataward.spark.session import demand_encryption
from dataward.tables.declared import declarations

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["opened_keys", "preflight"]


def opened_keys(spark: SparkSession, contract: Contract) -> Keyring:
    """Open the keyring and unwrap the signing key.

    Raises:
        KeyringError: the keyring cannot be opened, or is not the one that sealed the target before.
        SessionError: the contract demands encrypted spills and the session does not encrypt them.
    """
    if contract.keys.spill == "encrypted":
        demand_encryption(spark)
    try:
        keys = open_keys(contract.keys)
    except KeyringError:
        if has_keyring(contract.keys) or not ledger.exists(contract.ledger_location):
            raise
        raise KeyringError(
            f"there is no keyring {contract.keys.path}, and {contract.target} was sealed before (ledger "
            f"{contract.ledger_location}): restore it from your backup. A new one has other keys"
        ) from None
    domain = contract.keys.domain
    same_keys(spark, contract, keys)
    keys.key("seal", domain, keys.current(domain))
    return keys


def preflight(ctx: Context, pinned: Pinned) -> Ready:
    """Check rules, operators, keys and the target's schema against the source's.

    Raises:
        ContractError: a rule, an operator or a column does not fit the source or the target.
        UsageError: values of two key versions would be indistinguishable in one column, or 'lineage' needs a missing package or
            environment variable.
    """
    contract, source, small = ctx.contract, pinned.source, settle_small(ctx, pinned)
    if contract.lineage:
        openlineage.require(contract.lineage)
    suite = against_schema(ctx.spark, ctx.plan, source.frame, pinned.frames, ctx.now)
    against_names(ctx.spark, ctx.plan, source.frame)
    against_keys(ctx, source.frame)
    past = recall(ctx.spark, ctx.plan, ctx.run_id, ctx.now)
    memory = memory_of(ctx)
    plain = normalised(source.frame, contract.treat).drop(MALFORMED)
    columns = ColumnPlan.resolve(contract, ctx.keys, plain.schema)
    changes = against_target(ctx.spark, ctx.plan, ctx.target, columns, pinned.replaces_all)
    announced = tuple(f"schema of {contract.target}: the run {change}" for change in changes)
    for line in announced:
        ctx.trace.progress(f"  {line}")
    table = declarations(ctx.target) if ctx.target else None
    return Ready(pinned, columns, with_rule(contract, memory, suite), past, table, announced, small, memory)
