"""Helper columns beside the source's own columns, and the id of a row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from dataward.contract.reserved import INTERNAL
from dataward.spark.sql import identifier

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["INTERNAL", "ROW", "SOURCE_ROW", "content", "row_id"]

ROW = f"{INTERNAL}row"
SOURCE_ROW = f"{INTERNAL}source_row"
"""Column of a row's id in the source, before repairs."""


def content(names: Iterable[str]) -> str:
    """Return SQL of the MD5 (32 hex digits) of the values of columns, which is the same in every pass."""
    return f"md5(to_json(struct({', '.join(map(identifier, names))})))"


def row_id(frame: DataFrame) -> Any:
    """Return the id of a row as a column: the :func:`content` of all of a frame's own columns."""
    from pyspark.sql import functions as F

    return F.expr(content(name for name in frame.columns if not name.startswith(INTERNAL)))
