"""Compute a keyed digest of a table version that does not depend on the order of rows or their distribution over files.

MSet-Add-Hash (Clarke, Devadas, van Dijk, Gassend, Suh: *Incremental Multiset Hash Functions and Their Application to
Memory Integrity Checking*, ASIACRYPT 2003) with HMAC-SHA-256 as the keyed function, over four lanes of 64 bits:

    D(M) = HMAC(K, 3 || nonce, schema) + sum over rows b of HMAC(K, 2 || b)   (mod 2^64 in each lane)

A holder of the key can subtract the first term, add the rows of a commit, and subtract its removed rows, so that versions follow
from one another. A row's encoding (``docs/digest.md``) omits nulls, so that columns added to the table later
change no sum.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.integrity.canonical import canonical, sha256
from dataward.integrity.encoding import ENCODING, LANES, lanes_of, macs_of, row_macs
from dataward.integrity.encoding_one import ROW_ONE, encoded_rows_one, mask_one
from dataward.spark.hmac import row_sums
from dataward.spark.kind import is_remote
from dataward.spark.settings import settings
from dataward.spark.sql import column, identifier
from dataward.spark.workers import batch_of, without_delay

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame
    from pyspark.sql.types import DataType, StructType

__all__ = ["Sum", "digest", "digest_one", "extends", "schema_sha256", "sum_of", "summed", "unmasked"]

SIZES = ((8 * 1024, 20_000), (1024 * 1024, 128), (2**62, 1))
"""(largest row in bytes, rows per batch for Python): batches of at most about 160 MB, or of a single row."""
SUMMED = "rows bigint, lanes binary, larger bigint"
MASK = b"\3"
Macs = Callable[["list[pa.Array]", int, bytes], Any]


@dataclass(frozen=True)
class Sum:
    """Number of rows, and sum of their MACs by lane; sums of disjoint sets of rows add up."""

    rows: int = 0
    lanes: tuple[int, ...] = (0,) * LANES

    def __add__(self, other: Sum) -> Sum:
        """Add the rows of another sum."""
        lanes = zip(self.lanes, other.lanes, strict=True)
        return Sum(self.rows + other.rows, tuple((mine + more) % 2**64 for mine, more in lanes))

    def __sub__(self, other: Sum) -> Sum:
        """Subtract the rows of another sum."""
        lanes = zip(self.lanes, other.lanes, strict=True)
        return Sum(self.rows - other.rows, tuple((mine - less) % 2**64 for mine, less in lanes))


def digest(total: Sum, key: bytes, nonce: str, schema: str) -> str:
    """Return the digest (hex) of rows: their sum plus a mask, so that equal contents have different digests.

    Args:
        total: the rows' sum.
        key: the digest's key.
        nonce: random, used for this digest only.
        schema: result of :func:`schema_sha256`.
    """
    return _hex((total + _mask(key, nonce, schema)).lanes)


def unmasked(digest: str, rows: int, key: bytes, nonce: str, schema: str) -> Sum:
    """Recover the sum of rows from their digest."""
    return Sum(rows, lanes_of(bytes.fromhex(digest))) - _mask(key, nonce, schema)


def new_nonce() -> str:
    """Return a random nonce."""
    return secrets.token_hex(16)


def _mask(key: bytes, nonce: str, schema: str) -> Sum:
    message = MASK + canonical([ENCODING, nonce, schema]).encode()
    return Sum(0, lanes_of(hmac.digest(key, message, "sha256")))


def _hex(lanes: tuple[int, ...]) -> str:
    return b"".join(lane.to_bytes(8, "little") for lane in lanes).hex()


def described(kind: DataType) -> Any:
    """Return a type as plain data: names and types in order, at any depth, without nullability and comments."""
    from pyspark.sql import types as T

    if isinstance(kind, T.StructType):
        return ["struct", [[field.name, described(field.dataType)] for field in kind.fields]]
    if isinstance(kind, T.ArrayType):
        return ["array", described(kind.elementType)]
    if isinstance(kind, T.MapType):
        return ["map", described(kind.keyType), described(kind.valueType)]
    return kind.simpleString()


def schema_sha256(schema: StructType) -> str:
    """Return the SHA-256 (hex) of names and types of the columns, in order."""
    return sha256(described(schema))


def extends(now: Any, before: Any) -> bool:
    """Return whether rows of one described type have the same encoding in another: fields were added only at the end."""
    if now == before:
        return True
    if not (isinstance(now, list) and isinstance(before, list) and now[0] == before[0]):
        return False
    if now[0] != "struct":
        return all(extends(new, old) for new, old in zip(now[1:], before[1:], strict=True))
    fields, known = now[1], before[1]
    kept = zip(fields, known, strict=False)
    return len(fields) >= len(known) and all(new[0] == old[0] and extends(new[1], old[1]) for new, old in kept)


def summed(frame: DataFrame, key: bytes) -> Sum:
    """Sum the rows of a frame in the JVM; through Spark Connect, the same sum in Python."""
    if not is_remote(frame.sparkSession):
        row = frame.agg(row_sums([column(name) for name in frame.columns], frame.schema, key)).first()
        return sum_of(bytes(row[0])) if row else Sum()
    return summed_in_python(frame, key)


def sum_of(data: bytes) -> Sum:
    """Return the sum from the bytes of :func:`dataward.spark.hmac.row_sums`."""
    rows, *lanes = lanes_of(data)
    return Sum(rows, tuple(lanes))


def digest_one(frame: DataFrame, key: bytes, nonce: str) -> tuple[str, int]:
    """Return the digest of a frame in row encoding 1, that of older seals, and its number of rows."""
    total = summed_in_python(frame, key, _row_macs_one)
    return _hex((total + Sum(0, mask_one(key, nonce, frame.schema))).lanes), total.rows


def _row_macs_one(columns: list[pa.Array], rows: int, key: bytes) -> Any:
    return macs_of(encoded_rows_one(columns, rows), ROW_ONE, key)


def summed_in_python(frame: DataFrame, key: bytes, macs: Macs = row_macs) -> Sum:
    """Sum the rows of a frame on Python workers.

    The number of rows per Arrow batch is fixed, so large rows would exceed memory, or Arrow's limit of 2 GB. Rows above a size
    are therefore skipped, counted, and read again in smaller batches; most tables have none.
    """
    from pyspark.sql import functions as F

    numbered = [column(name).alias(f"c{number}") for number, name in enumerate(frame.columns)]
    sized = frame.select(*numbered, F.expr(row_size(frame.schema)).alias("size"))
    has_variable_size = [_size(field.dataType, "") != "" for field in frame.schema.fields]
    total, smallest = Sum(), -1
    for largest, rows in SIZES:
        short = F.col("size") <= largest
        columns = [
            F.when(short, column(f"c{number}")) if large else column(f"c{number}")
            for number, large in enumerate(has_variable_size)
        ]
        part = sized.where(F.col("size") > smallest) if smallest >= 0 else sized
        batches = {"spark.sql.execution.arrow.maxRecordsPerBatch": str(rows)}
        with settings(frame.sparkSession, batches, hints=True):
            results = (
                part.select(*columns, short.alias("short"))
                .mapInArrow(without_delay(_summing(key, macs)), SUMMED)
                .collect()
            )
        for row in results:
            total += Sum(row.rows, lanes_of(bytes(row.lanes)))
        if not any(row.larger for row in results):
            break
        smallest = largest
    return total


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


def _summing(key: bytes, row_macs: Macs) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """Return a function for ``mapInArrow`` from batches of rows to one row of sums."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import numpy as np

        count, lanes, larger = 0, np.zeros(LANES, dtype="<u8"), 0
        for batch in batches:
            macs = row_macs(batch.columns[:-1], batch.num_rows, key)
            short = batch.column(batch.num_columns - 1)
            if short.true_count < len(short):
                larger += len(short) - short.true_count
                macs = macs[np.asarray(short)]
            count, lanes = count + len(macs), lanes + macs.sum(axis=0, dtype="<u8")
        yield batch_of([(count, lanes.tobytes(), larger)], SUMMED)

    return run
