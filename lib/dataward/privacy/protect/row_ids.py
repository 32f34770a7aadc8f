"""Identify quarantined rows in their source by a keyed hash of their content, which does not allow guesses of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataward.contract.protections import Token
from dataward.contract.reserved import ROW_ID
from dataward.privacy.protect.operator import Key
from dataward.privacy.protect.token import TokenOperator
from dataward.spark.sql import column

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["with_row_ids"]


def with_row_ids(frame: DataFrame, content: str, run_id: str, key: Key) -> DataFrame:
    """Replace the source-row hash (column ``content``) by a keyed id ``row_id``, which differs from run to run."""
    from pyspark.sql import functions as F

    row_id = TokenOperator(Token(), key).of_column(F.concat(F.lit(f"{run_id} "), column(content)))
    kept = [column(name) for name in frame.columns if name != content]
    return frame.select(*kept, row_id.alias(ROW_ID))
