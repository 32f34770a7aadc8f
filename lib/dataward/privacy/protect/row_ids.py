"""Rows of the quarantine are found again in their source by a keyed hash of what they hold; nobody can guess a row by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataward.contract.protections import Token
from dataward.privacy.protect.operator import Key
from dataward.privacy.protect.token import TokenOperator
from dataward.reserved import ROW_ID
from dataward.sql import column

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["with_row_ids"]


def with_row_ids(frame: DataFrame, content: str, run_id: str, key: Key) -> DataFrame:
    """The frame with ``row_id`` in the place of a column that tells a row's content: its token, another one in every run."""
    from pyspark.sql import functions as F

    made = TokenOperator(Token(), key).column(F.concat(F.lit(f"{run_id} "), column(content)), "string")
    kept = [column(name) for name in frame.columns if name != content]
    return frame.select(*kept, made.alias(ROW_ID))
