"""Digest rows as older versions of Dataward did (row encoding 1), so that their seals can be verified and continued.

A row is a validity byte for every column, then the little-endian value, or length and bytes for text and binary; structs are
encoded as their fields, arrays and maps as canonical JSON. New seals use ``encoding.py``.
"""

from __future__ import annotations

import hmac
import json
from typing import TYPE_CHECKING, Any

from dataward.integrity.encoding import lanes_of

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql.types import StructType

__all__ = ["ROW_ONE", "encoded_rows_one", "mask_one"]

ROW_ONE = b"\1"


def mask_one(key: bytes, nonce: str, schema: StructType) -> tuple[int, ...]:
    """Return the mask of a table's digest."""
    described = json.dumps([(field.name, field.dataType.simpleString()) for field in schema.fields])
    return lanes_of(hmac.digest(key, b"\0" + json.dumps([nonce, described, ""]).encode(), "sha256"))


def encoded_rows_one(columns: list[pa.Array], rows: int) -> pa.Array:
    """Encode every row as bytes (a binary array)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = [part for column in columns for part in _encoded(column)]
    if not parts:
        return pa.array([b""] * rows, pa.binary())
    return pc.binary_join_element_wise(*parts, b"", null_handling="replace", null_replacement=b"")


def _encoded(column: pa.Array) -> list[pa.Array]:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    parts = [_bytes_of(pc.is_valid(column).cast(pa.uint8()))]
    if pa.types.is_null(kind):
        return parts
    if pa.types.is_struct(kind):
        return parts + [part for child in column.flatten() for part in _encoded(child)]
    if pa.types.is_nested(kind):
        column = pa.array([_nested(value) for value in column.to_pylist()], pa.binary())
    elif pa.types.is_boolean(kind):
        column = column.cast(pa.uint8())
    if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
        binary = column.cast(pa.binary())
        lengths = pc.fill_null(pc.binary_length(binary), 0).cast(pa.int32())
        return [*parts, _bytes_of(lengths), binary]
    return [*parts, _bytes_of(column)]


def _bytes_of(column: pa.Array) -> pa.Array:
    import pyarrow as pa

    fixed = pa.binary(column.type.bit_width // 8)
    return pa.Array.from_buffers(fixed, len(column), column.buffers()[:2], offset=column.offset).cast(pa.binary())


def _nested(value: Any) -> bytes | None:
    if value is None:
        return None
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=repr).encode()
