"""Columns that stand beside the source's own while a frame is worked on, and what a row is known by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from dataward.reserved import INTERNAL
from dataward.sql import identifier

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["INTERNAL", "ROW", "SOURCE_ROW", "content", "row_id"]

ROW = f"{INTERNAL}row"
SOURCE_ROW = f"{INTERNAL}source_row"
"""Column: a row's id as it came from the source, before anything was repaired."""


def content(names: Iterable[str]) -> str:
    """SQL of the 128 bits of what columns hold (MD5, 32 hex digits): the same in every pass."""
    return f"md5(to_json(struct({', '.join(map(identifier, names))})))"


def row_id(frame: DataFrame) -> Any:
    """Column: the content of all of a frame's own columns."""
    from pyspark.sql import functions as F

    return F.expr(content(name for name in frame.columns if not name.startswith(INTERNAL)))
