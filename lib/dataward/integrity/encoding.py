"""Encode rows as bytes from Arrow's buffers, like ``spark/RowSums.java`` in the JVM. ``docs/digest.md`` describes the encoding."""

from __future__ import annotations

import hashlib
import itertools
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ENCODING", "LANES", "encoded_rows", "lanes_of", "macs_of", "row_macs"]

ENCODING = 2
"""Version of the encoding in seals."""
LANES = 4
ROW = b"\2"
BLOCK = 64  # bytes, of SHA-256


def row_macs(columns: list[pa.Array], rows: int, key: bytes) -> Any:
    """Compute HMAC-SHA-256 of every row; returns a uint64 array of shape (rows, 4)."""
    return macs_of(encoded_rows(columns, rows), ROW, key)


def macs_of(encoded: pa.Array, tag: bytes, key: bytes) -> Any:
    """Compute HMAC-SHA-256 of every encoded row after a tag; see :func:`row_macs`."""
    import numpy as np

    rows = len(encoded)
    offsets = np.frombuffer(encoded.buffers()[1], dtype="<i4")[encoded.offset : encoded.offset + rows + 1].tolist()
    data = memoryview(encoded.buffers()[2] or b"")
    # The key's two blocks are hashed only once: three times as fast as hmac.digest for short rows.
    padded = key.ljust(BLOCK, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded))
    inner.update(tag)
    start_inner, start_outer = inner.copy, hashlib.sha256(bytes(byte ^ 0x5C for byte in padded)).copy
    digests = []
    for begin, end in itertools.pairwise(offsets):
        inner_hash = start_inner()
        inner_hash.update(data[begin:end])
        outer_hash = start_outer()
        outer_hash.update(inner_hash.digest())
        digests.append(outer_hash.digest())
    return np.frombuffer(b"".join(digests), dtype="<u8").reshape(-1, LANES)


def lanes_of(data: bytes) -> tuple[int, ...]:
    """Return the little-endian 64-bit numbers in some bytes."""
    return struct.unpack(f"<{len(data) // 8}Q", data)


def encoded_rows(columns: list[pa.Array], rows: int) -> pa.Array:
    """Encode every row as bytes (a binary array); ``rows`` is their number where there is no column."""
    return _joined(_fields(columns, rows), rows)


def _fields(columns: list[pa.Array], rows: int) -> list[pa.Array]:
    """Encode columns like a struct's fields: the number and value of each that is not null, then a zero byte."""
    parts = [part for number, column in enumerate(columns, 1) for part in _field(_tag(number), column)]
    return [*parts, _repeated(b"\0", rows)]


def _field(tag: bytes, column: pa.Array) -> list[pa.Array]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_null(column.type):
        return []
    if column.null_count == 0:
        return [_repeated(tag, len(column)), *_values(column)]
    there = pc.is_valid(column)
    empty = pa.scalar(b"", pa.binary())
    return [pc.if_else(there, part, empty) for part in (_repeated(tag, len(column)), *_values(column))]


def _values(column: pa.Array) -> list[pa.Array]:
    """Encode values as binary arrays that are joined by row; null slots may hold anything."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_struct(kind):
        return _fields(column.flatten(), len(column))
    if pa.types.is_map(kind) or pa.types.is_list(kind):
        return [pa.array(_nested(column), pa.binary())]
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        binary = column.cast(pa.binary())
        return [_bytes_of(pc.fill_null(pc.binary_length(binary), 0).cast(pa.int32())), binary]
    if pa.types.is_boolean(kind):
        column = column.cast(pa.uint8())
    elif pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("us", kind.tz))
    elif pa.types.is_floating(kind):  # NaN with any bits
        column = pc.if_else(pc.is_nan(column), pa.scalar(float("nan"), kind), column)
    elif not (pa.types.is_integer(kind) or pa.types.is_date32(kind) or pa.types.is_decimal128(kind)):
        raise TypeError(f"rows with a column of type {kind} cannot be sealed")
    return [_bytes_of(column)]


def _nested(column: pa.Array) -> list[bytes]:
    """Encode lists and maps: the number of elements, then each element; a map's entries are sorted by the bytes of their keys."""
    import pyarrow as pa

    is_map = pa.types.is_map(column.type)
    offsets = column.offsets.to_pylist()
    if is_map:
        keys = _joined(_values(column.keys), len(column.keys)).to_pylist()
        elements = [key + item for key, item in zip(keys, _items(column.items), strict=True)]
    else:
        elements = _items(column.values)
    found = []
    for begin, end in itertools.pairwise(offsets):
        inside = elements[begin:end]
        found.append(struct.pack("<i", len(inside)) + b"".join(sorted(inside) if is_map else inside))
    return found


def _items(values: pa.Array) -> list[bytes]:
    """Encode elements that may be null: 0, or 1 and the value."""
    import pyarrow as pa

    if pa.types.is_null(values.type):
        return [b"\0"] * len(values)
    made = _joined(_values(values), len(values)).to_pylist()
    return [b"\1" + value if there else b"\0" for value, there in zip(made, values.is_valid().to_pylist(), strict=True)]


def _joined(parts: list[pa.Array], rows: int) -> pa.Array:
    import pyarrow.compute as pc

    return pc.binary_join_element_wise(*parts, b"", null_handling="replace", null_replacement=b"")


def _tag(number: int) -> bytes:
    """Return a number in LEB128."""
    tag = b""
    while number > 127:
        tag += bytes([number & 127 | 128])
        number >>= 7
    return tag + bytes([number])


def _repeated(value: bytes, rows: int) -> pa.Array:
    import pyarrow as pa

    return pa.repeat(pa.scalar(value, pa.binary()), rows)


def _bytes_of(column: pa.Array) -> pa.Array:
    """View a fixed-width array as bytes, without copying the values."""
    import pyarrow as pa

    fixed = pa.binary(column.type.bit_width // 8)
    return pa.Array.from_buffers(fixed, len(column), column.buffers()[:2], offset=column.offset).cast(pa.binary())
