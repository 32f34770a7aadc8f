"""Identify rows: by their position in the source within a run, by a keyed ID in tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataward.contract import Contract
from dataward.pipeline.forget import without_forgotten
from dataward.privacy.erased import Memory
from dataward.privacy.protect.compiled import key_of
from dataward.privacy.protect.row_ids import with_row_ids
from dataward.quality.internal import SOURCE_ROW, row_id

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from dataward.pipeline.context import Context

__all__ = ["admitted", "identified"]


def admitted(contract: Contract, memory: Memory | None, frame: DataFrame) -> DataFrame:
    """Add the hash of the source row, where a table of the contract holds rows by ID; leave out forgotten people."""
    known = contract.quarantine or contract.treat.changes
    frame = frame.withColumn(SOURCE_ROW, row_id(frame)) if known else frame
    return without_forgotten(contract, memory, frame)


def identified(ctx: Context, frame: DataFrame) -> DataFrame:
    """Replace the hash of the source row by a keyed ID."""
    return with_row_ids(frame, SOURCE_ROW, ctx.run_id, key_of(ctx.keys)("token", ctx.contract.keys.domain))
