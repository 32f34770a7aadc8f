"""Compute a keyed digest of a table version that does not depend on the order of rows or their distribution over files.

MSet-Add-Hash (Clarke, Devadas, van Dijk, Gassend, Suh: *Incremental Multiset Hash Functions and Their Application to
Memory Integrity Checking*, ASIACRYPT 2003) with HMAC-SHA-256 as the keyed function, over four lanes of 64 bits:

    D(M) = HMAC(K, 0 || nonce || schema || label) + sum over rows b of HMAC(K, 1 || b)   (mod 2^64 in each lane)

``label`` is empty for the whole table and the file's name for one file, so that verification can name the files whose rows
changed. The sums of the files add up to the sum of the table.

A row is encoded from Arrow's buffers, without formatting numbers as text: for every column a validity byte, then the
little-endian value, or length and bytes for text and binary. Structs are encoded as their fields, arrays and maps as canonical
JSON.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import secrets
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from dataward.spark.sql import column, identifier
from dataward.spark.workers import batch_of, settled
from dataward.tables.maintenance import settings

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.types import DataType, StructType

__all__ = ["Content", "FileContent", "Sums", "digest", "sums"]

SIZES = ((8 * 1024, 20_000), (1024 * 1024, 128), (2**62, 1))
"""(largest row in bytes, rows per batch that goes to Python): batches of at most about 160 MB, or of a single row."""
SUMMED = "file bigint, rows bigint, lanes binary, larger bigint"
LANES = 4
BLOCK = 64  # bytes, of SHA-256


@dataclass(frozen=True)
class FileContent:
    """Name, number of rows and digest (hex) of one data file."""

    path: str
    rows: int
    digest: str


@dataclass(frozen=True)
class Content:
    """Digest (hex) of a table version under a nonce (hex), its number of rows, and the same for each of its files."""

    digest: str
    nonce: str
    rows: int
    files: tuple[FileContent, ...]


Sums = dict[str, tuple[int, list[int]]]
"""Number of rows and sum of their MACs (by lane) for each file."""


def digest(frame: DataFrame, key: bytes, nonce: str | None = None, known: Sums | None = None) -> Content:
    """Digest a frame that reads files, in one pass; the driver receives one short row per task and file.

    Args:
        frame: the frame.
        key: the digest's key.
        nonce: the nonce of a seal to recompute; None: a random one.
        known: sums of further files of the version, which are not read again.
    """
    from pyspark.sql import functions as F

    nonce = nonce or secrets.token_hex(16)
    schema = _schema(frame)
    file = F.col("_metadata.file_path")
    # A checksum stands for the path: sending every row's path to Python would double the time.
    tag, paths = F.crc32(file), frame.inputFiles()
    names = {zlib.crc32(path.encode()): path for path in paths}
    if len(names) < len(paths):  # two paths have the same checksum
        tag, names = F.xxhash64(file), {}
    summed = _summed(frame, tag, key)
    if not all(row.file in names for row in summed):  # some platforms spell a path in two ways
        names = {row.tag: row.path for row in frame.select(tag.alias("tag"), file.alias("path")).distinct().collect()}
    sums_by_file: Sums = {}
    for row in summed:
        name = unquote(names[row.file]).rsplit("/", 1)[-1]
        count, lanes = sums_by_file.get(name, (0, [0] * LANES))
        sums_by_file[name] = (count + row.rows, _add(lanes, _lanes(bytes(row.lanes))))
    total = [0] * LANES
    files = []
    for name, (count, lanes) in sorted({**(known or {}), **sums_by_file}.items()):
        total = _add(total, lanes)
        files.append(FileContent(name, count, _hex(_add(lanes, _mask(key, nonce, schema, name)))))
    table_digest = _hex(_add(total, _mask(key, nonce, schema, "")))
    return Content(table_digest, nonce, sum(file.rows for file in files), tuple(files))


def _summed(frame: DataFrame, tag: Column, key: bytes) -> list[Any]:
    """Return number of rows and sum of MACs by task and file (``file``, ``rows``, ``lanes``).

    The number of rows per Arrow batch is fixed, so large rows would exceed memory, or Arrow's limit of 2 GB. Rows above a size
    are therefore skipped, counted, and read again in smaller batches; most tables have none.
    """
    from pyspark.sql import functions as F

    numbered = [column(name).alias(f"c{number}") for number, name in enumerate(frame.columns)]
    sized = frame.select(*numbered, F.expr(row_size(frame.schema)).alias("size"), tag.alias("file"))
    has_variable_size = [_size(field.dataType, "") != "" for field in frame.schema.fields]
    summed, smallest = [], -1
    for largest, rows in SIZES:
        short = F.col("size") <= largest
        columns = [
            F.when(short, column(f"c{number}")) if large else column(f"c{number}")
            for number, large in enumerate(has_variable_size)
        ]
        part = sized.where(F.col("size") > smallest) if smallest >= 0 else sized
        with settings(frame.sparkSession, {"spark.sql.execution.arrow.maxRecordsPerBatch": str(rows)}):
            selected = part.select(*columns, short.alias("short"), "file")
            results = selected.mapInArrow(settled(_summing(key)), SUMMED).collect()
        summed += [row for row in results if row.rows]
        if not any(row.larger for row in results):
            break
        smallest = largest
    return summed


def row_size(schema: StructType) -> str:
    """Return SQL of the approximate bytes in a row's columns of variable length; never null."""
    sizes = [_size(field.dataType, identifier(field.name)) for field in schema.fields]
    return " + ".join(f"coalesce({size}, 0L)" for size in sizes if size) or "0L"


def _size(kind: DataType, path: str) -> str:
    """Return SQL of a value's bytes; empty where all values of the type have the same size."""
    from pyspark.sql import types as T

    if isinstance(kind, T.StructType):
        inside = [_size(field.dataType, f"{path}.{identifier(field.name)}") for field in kind.fields]
        return " + ".join(f"coalesce({size}, 0L)" for size in inside if size)
    if isinstance(kind, T.ArrayType | T.MapType):
        element_types = [kind.elementType] if isinstance(kind, T.ArrayType) else [kind.keyType, kind.valueType]
        if any(_size(element, "x") or isinstance(element, T.StructType) for element in element_types):
            return f"cast(octet_length(to_json({path})) as bigint)"
        return f"32L * greatest(size({path}), 0)"
    return f"cast(octet_length({path}) as bigint)" if isinstance(kind, T.StringType | T.BinaryType) else ""


def sums(frame: DataFrame, content: Content, key: bytes) -> Sums:
    """Recover the sums of the files of a sealed version from its digests.

    Args:
        frame: a frame with the version's columns.
        content: the sealed content.
        key: the digest's key.

    Returns:
        The sums; empty where the version had another schema, or was digested under another key.
    """
    schema, total, by_file = _schema(frame), [0] * LANES, Sums()
    for file in content.files:
        mask = _mask(key, content.nonce, schema, file.path)
        lanes = [
            (lane - mask_lane) % 2**64 for lane, mask_lane in zip(_lanes(bytes.fromhex(file.digest)), mask, strict=True)
        ]
        by_file[file.path], total = (file.rows, lanes), _add(total, lanes)
    return by_file if _hex(_add(total, _mask(key, content.nonce, schema, ""))) == content.digest else {}


def _schema(frame: DataFrame) -> str:
    return json.dumps([(field.name, field.dataType.simpleString()) for field in frame.schema.fields])


def _mask(key: bytes, nonce: str, schema: str, label: str) -> list[int]:
    message = b"\0" + json.dumps([nonce, schema, label]).encode()
    return _lanes(hmac.digest(key, message, "sha256"))


def _lanes(data: bytes) -> list[int]:
    return [int.from_bytes(data[start : start + 8], "little") for start in range(0, 8 * LANES, 8)]


def _add(left: list[int], right: list[int]) -> list[int]:
    return [(a + b) % 2**64 for a, b in zip(left, right, strict=True)]


def _hex(lanes: list[int]) -> str:
    return b"".join(lane.to_bytes(8, "little") for lane in lanes).hex()


def _summing(key: bytes) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """Return a function for ``mapInArrow`` from batches of rows to one row of sums per file."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import numpy as np
        import pyarrow.compute as pc

        sums: dict[int, tuple[int, Any]] = {}
        larger = 0
        for batch in batches:
            macs = row_macs(batch.columns[:-2], batch.num_rows, key)
            short, names = batch.column(batch.num_columns - 2), batch.column(batch.num_columns - 1)
            if short.true_count < len(short):
                larger += len(short) - short.true_count
                macs, names = macs[np.asarray(short)], names.filter(short)
            tags = pc.unique(names).to_pylist()
            for name in tags:
                file_macs = macs if len(tags) == 1 else macs[np.asarray(pc.equal(names, name))]
                count, lanes = sums.get(name, (0, np.zeros(LANES, dtype="<u8")))
                sums[name] = (count + len(file_macs), lanes + file_macs.sum(axis=0, dtype="<u8"))
        rows = [(name, count, lanes.tobytes(), 0) for name, (count, lanes) in sums.items()]
        rows += [(0, 0, b"", larger)] if larger else []
        yield batch_of(rows, SUMMED)

    return run


def row_macs(columns: list[pa.Array], rows: int, key: bytes) -> Any:
    """Compute HMAC-SHA-256 of every row; returns a uint64 array of shape (rows, 4)."""
    import numpy as np

    encoded = _encode_rows(columns, rows)
    offsets = np.frombuffer(encoded.buffers()[1], dtype="<i4")[encoded.offset : encoded.offset + rows + 1].tolist()
    data = memoryview(encoded.buffers()[2] or b"")
    # The key's two blocks are hashed only once: three times as fast as hmac.digest for short rows.
    padded = key.ljust(BLOCK, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded))
    inner.update(b"\1")
    start_inner, start_outer = inner.copy, hashlib.sha256(bytes(byte ^ 0x5C for byte in padded)).copy
    digests = []
    for begin, end in itertools.pairwise(offsets):
        inner_hash = start_inner()
        inner_hash.update(data[begin:end])
        outer_hash = start_outer()
        outer_hash.update(inner_hash.digest())
        digests.append(outer_hash.digest())
    return np.frombuffer(b"".join(digests), dtype="<u8").reshape(-1, LANES)


def _encode_rows(columns: list[pa.Array], rows: int) -> pa.Array:
    """Encode every row as bytes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = [part for column in columns for part in _encode(column)]
    if not parts:
        return pa.array([b""] * rows, pa.binary())
    return pc.binary_join_element_wise(*parts, b"", null_handling="replace", null_replacement=b"")


def _encode(column: pa.Array) -> list[pa.Array]:
    """Encode a column as binary arrays that are joined by row: a validity byte, then the value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    parts = [_bytes_of(pc.is_valid(column).cast(pa.uint8()))]
    if pa.types.is_null(kind):
        return parts
    if pa.types.is_struct(kind):
        return parts + [part for child in column.flatten() for part in _encode(child)]
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
    """View a fixed-width array as bytes, without copying the values."""
    import pyarrow as pa

    fixed = pa.binary(column.type.bit_width // 8)
    return pa.Array.from_buffers(fixed, len(column), column.buffers()[:2], offset=column.offset).cast(pa.binary())


def _nested(value: Any) -> bytes | None:
    if value is None:
        return None
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=repr).encode()
