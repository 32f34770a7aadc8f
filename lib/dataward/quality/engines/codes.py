"""Count equal 64-bit codes over Arrow batches with vectorised arithmetic.

Every task packs the codes of each set of keys into a few binary blocks by bucket; a shuffle brings the blocks of a bucket
together; there they are sorted and runs of equal codes are counted. Codes that repeat often are counted before the shuffle.
This is several times as fast as Spark's grouping of the same pairs.

Only the equality of codes matters, so any order will do: codes are multiplied by an odd number, a bijection that spreads whole
numbers over all 64 bits, and radix-sorted by their upper bits.

Arrow's ``to_numpy`` imports pandas, which takes a third of a second in each new worker; this module avoids it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from dataward.spark.workers import batch_of, column_of, named

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["BLOCKS", "COUNTS", "LONG_BATCHES", "bucket_of", "counting", "packing"]

BLOCKS = "bucket int, grouping int, codes binary, counts binary"
COUNTS = "grouping int, rows bigint, keys bigint, single bigint, largest bigint, weight double"
FLUSH = 1 << 18  # codes that are collected before they are packed: 2 MB
SAMPLE = 1 << 15  # codes by which a task decides whether those of a set repeat often
LONG_BATCHES = {"spark.sql.execution.arrow.maxRecordsPerBatch": "100000"}
"""Spark settings while rows are coded: codes are narrow, so that an Arrow batch can hold many."""
MIXER = 0x9E3779B97F4A7C15  # 2^64 / golden ratio: spreads whole numbers over buckets (Knuth, TAOCP 3, 6.4)


def packing(buckets: int) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """Return a function for ``mapInArrow`` from columns of codes to blocks.

    There is one column per set of keys; a null code is not counted. ``counts`` is empty where each code counts once.
    """

    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import numpy as np

        pending: dict[int, list[Any]] = {}
        repeats: dict[int, bool] = {}
        for batch in batches:
            for grouping, column in enumerate(batch.columns):
                codes = np.from_dlpack(column.drop_null())
                if grouping not in repeats and len(codes):
                    sample = codes[:SAMPLE]
                    repeats[grouping] = len(np.unique(sample)) < len(sample) / 2
                pending.setdefault(grouping, []).append(codes)
                if sum(map(len, pending[grouping])) >= FLUSH:
                    yield _blocks(grouping, pending.pop(grouping), repeats[grouping], buckets)
        for grouping, parts in pending.items():
            if any(map(len, parts)):
                yield _blocks(grouping, parts, repeats[grouping], buckets)

    return run


def _blocks(grouping: int, parts: list[Any], repeats: bool, buckets: int) -> pa.RecordBatch:
    """Return one block per bucket."""
    import numpy as np

    codes, counts = _repeated(np.concatenate(parts)) if repeats else (np.concatenate(parts), None)
    bucket = bucket_of(codes, buckets)
    order = np.argsort(bucket, kind="stable")  # a radix sort
    sizes = np.bincount(bucket, minlength=buckets)
    used = np.flatnonzero(sizes)
    ends = np.cumsum(sizes[used])
    empty = np.zeros_like(ends)
    return named(
        [
            column_of(used.astype(np.int32)),
            column_of(np.full(len(used), grouping, np.int32)),
            _cut(codes[order], ends),
            _cut(codes[:0], empty) if counts is None else _cut(counts[order], ends),
        ],
        BLOCKS,
    )


def _cut(codes: Any, ends: Any) -> pa.Array:
    """Cut codes or counts into pieces with these ends, as binary array."""
    import numpy as np
    import pyarrow as pa

    offsets = np.concatenate([[0], 8 * ends]).astype(np.int32)
    return pa.Array.from_buffers(pa.binary(), len(ends), [None, pa.py_buffer(offsets), pa.py_buffer(codes)])


def _pieces(cut: pa.Array) -> list[Any]:
    """Return the pieces of a binary array as int64 arrays, without a copy."""
    import numpy as np

    _, offsets, data = cut.buffers()
    ends = np.frombuffer(offsets, np.int32)[cut.offset : cut.offset + len(cut) + 1] // 8
    codes = np.frombuffer(data, np.int64, ends[-1]) if data else np.zeros(0, np.int64)
    return [codes[start:end] for start, end in itertools.pairwise(ends)]


def bucket_of(codes: Any, buckets: int) -> Any:
    """Return the bucket (of at most 2^16) of each code, as uint16 array."""
    import numpy as np

    mixed = _mixed(codes)
    mixed >>= np.uint64(32)  # the codes of a bucket are sorted by the upper bits, so use others
    mixed &= np.uint64(0xFFFF)
    mixed *= np.uint64(buckets)
    mixed >>= np.uint64(16)
    return mixed.astype(np.uint16)


def _mixed(codes: Any) -> Any:
    import numpy as np

    return codes.view(np.uint64) * np.uint64(MIXER)


def _repeated(codes: Any) -> tuple[Any, Any]:
    """Return the distinct codes and their counts."""
    import numpy as np
    import pyarrow.compute as pc

    values, counts = map(np.from_dlpack, pc.value_counts(column_of(codes)).flatten())
    return values, counts


def _frequencies(parts: list[Any]) -> Any:
    """Return the counts of the distinct codes."""
    import numpy as np

    mixed = _mixed(np.concatenate(parts))
    mixed = mixed[np.argsort((mixed >> np.uint64(48)).astype(np.uint16), kind="stable")]
    mixed.sort(kind="stable")  # fast, because the numbers are nearly sorted
    return np.diff(np.flatnonzero(np.r_[True, mixed[1:] != mixed[:-1]]), append=len(mixed))


def _added(parts: list[Any], counts: list[Any]) -> Any:
    """Return the counts of the distinct codes, of which some come with counts."""
    import numpy as np

    ones = [count if len(count) else np.ones_like(part) for part, count in zip(parts, counts, strict=True)]
    codes = np.concatenate(parts)
    order = np.argsort(codes, kind="stable")
    codes = codes[order]
    return np.add.reduceat(np.concatenate(ones)[order], np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]]))


def counting() -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """Return a function for ``mapInArrow`` from blocks of whole buckets to one row of :data:`COUNTS` per set.

    ``weight`` is the sum of c * ln(c) over the counts c.
    """

    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import numpy as np

        blocks: dict[tuple[int, int], tuple[list[Any], list[Any]]] = {}
        for batch in batches:
            names = zip(*(column.to_pylist() for column in batch.columns[:2]), strict=True)
            for (bucket, grouping), codes, counts in zip(names, *map(_pieces, batch.columns[2:]), strict=True):
                parts = blocks.setdefault((grouping, bucket), ([], []))
                parts[0].append(codes)
                parts[1].append(counts)
        by_grouping: dict[int, list[Any]] = {}
        for (grouping, _), (codes, counts) in blocks.items():
            frequencies = _added(codes, counts) if any(map(len, counts)) else _frequencies(codes)
            repeated = frequencies[frequencies > 1]
            weight = float((repeated * np.log(repeated)).sum())
            counted = (
                int(frequencies.sum()),
                len(frequencies),
                len(frequencies) - len(repeated),
                int(frequencies.max()),
                weight,
            )
            by_grouping.setdefault(grouping, []).append(counted)
        rows = []
        for grouping, bucket_counts in by_grouping.items():
            sizes, keys, single, largest, weights = zip(*bucket_counts, strict=True)
            rows.append((grouping, sum(sizes), sum(keys), sum(single), max(largest), math.fsum(weights)))
        yield batch_of(rows, COUNTS)

    return run
