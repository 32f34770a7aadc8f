"""Counting equal codes: the arithmetic under the stacked shuffle, over Arrow batches, no row by row.

Every task packs the 64-bit codes of each set of keys into a few binary blocks, by bucket; a shuffle brings the blocks of
a bucket together; there they are sorted and runs are counted. Codes that are seen to repeat much are counted before
they travel. Several times as fast as Spark's grouping of the same pairs.

What is counted is whether codes are equal, so any order does: codes are multiplied by an odd number, which spreads whole
numbers over all 64 bits and can be undone, and sorted by radix where their upper bits differ.

Arrow's ``to_numpy`` imports pandas, a third of a second and more in each new worker: here it is done without.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from dataward.workers import batch_of, column_of, named

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["BLOCKS", "COUNTS", "LONG_BATCHES", "bucket_of", "counting", "packing"]

BLOCKS = "bucket int, grouping int, codes binary, counts binary"
COUNTS = "grouping int, rows bigint, keys bigint, single bigint, largest bigint, weight double"
FLUSH = 1 << 18  # codes held before they are packed: 2 MB
SAMPLE = 1 << 15  # codes that tell whether those of a set repeat much
LONG_BATCHES = {"spark.sql.execution.arrow.maxRecordsPerBatch": "100000"}
"""Settings under which codes are made of rows: they are narrow, so many go into one Arrow batch."""
MIXER = 0x9E3779B97F4A7C15  # 2^64 / golden ratio: spreads whole numbers over buckets (Knuth, TAOCP 3, 6.4)


def packing(buckets: int) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """Columns of codes (null: not counted), one per set, to blocks; ``counts`` is empty where each code counts once."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import numpy as np

        held: dict[int, list[Any]] = {}
        repeats: dict[int, bool] = {}
        for batch in batches:
            for grouping, column in enumerate(batch.columns):
                codes = np.from_dlpack(column.drop_null())
                if grouping not in repeats and len(codes):
                    some = codes[:SAMPLE]
                    repeats[grouping] = len(np.unique(some)) < len(some) / 2
                held.setdefault(grouping, []).append(codes)
                if sum(map(len, held[grouping])) >= FLUSH:
                    yield _blocks(grouping, held.pop(grouping), repeats[grouping], buckets)
        for grouping, parts in held.items():
            if any(map(len, parts)):
                yield _blocks(grouping, parts, repeats[grouping], buckets)

    return run


def _blocks(grouping: int, parts: list[Any], repeats: bool, buckets: int) -> pa.RecordBatch:
    import numpy as np

    codes, counts = _repeated(np.concatenate(parts)) if repeats else (np.concatenate(parts), None)
    bucket = bucket_of(codes, buckets)
    order = np.argsort(bucket, kind="stable")  # a radix sort
    sizes = np.bincount(bucket, minlength=buckets)
    there = np.flatnonzero(sizes)
    ends = np.cumsum(sizes[there])
    none = np.zeros_like(ends)
    return named(
        [
            column_of(there.astype(np.int32)),
            column_of(np.full(len(there), grouping, np.int32)),
            _cut(codes[order], ends),
            _cut(codes[:0], none) if counts is None else _cut(counts[order], ends),
        ],
        BLOCKS,
    )


def _cut(codes: Any, ends: Any) -> pa.Array:
    """Codes, or counts, cut into pieces that end there, as bytes."""
    import numpy as np
    import pyarrow as pa

    offsets = np.concatenate([[0], 8 * ends]).astype(np.int32)
    return pa.Array.from_buffers(pa.binary(), len(ends), [None, pa.py_buffer(offsets), pa.py_buffer(codes)])


def _pieces(cut: pa.Array) -> list[Any]:
    """The pieces again, without a copy."""
    import numpy as np

    _, offsets, data = cut.buffers()
    ends = np.frombuffer(offsets, np.int32)[cut.offset : cut.offset + len(cut) + 1] // 8
    codes = np.frombuffer(data, np.int64, ends[-1]) if data else np.zeros(0, np.int64)
    return [codes[start:end] for start, end in itertools.pairwise(ends)]


def bucket_of(codes: Any, buckets: int) -> Any:
    """The number of the bucket (of at most 2^16) that each code goes into, as an array of uint16."""
    import numpy as np

    mixed = _mixed(codes)
    mixed >>= np.uint64(32)  # not the upper bits, which the codes of a bucket are sorted by
    mixed &= np.uint64(0xFFFF)
    mixed *= np.uint64(buckets)
    mixed >>= np.uint64(16)
    return mixed.astype(np.uint16)


def _mixed(codes: Any) -> Any:
    import numpy as np

    return codes.view(np.uint64) * np.uint64(MIXER)


def _repeated(codes: Any) -> tuple[Any, Any]:
    """Different codes and how often each occurs."""
    import numpy as np
    import pyarrow.compute as pc

    values, counts = map(np.from_dlpack, pc.value_counts(column_of(codes)).flatten())
    return values, counts


def _frequencies(parts: list[Any]) -> Any:
    """How often each different code occurs."""
    import numpy as np

    mixed = _mixed(np.concatenate(parts))
    mixed = mixed[np.argsort((mixed >> np.uint64(48)).astype(np.uint16), kind="stable")]
    mixed.sort(kind="stable")  # what is nearly sorted is sorted quickly
    return np.diff(np.flatnonzero(np.r_[True, mixed[1:] != mixed[:-1]]), append=len(mixed))


def _added(parts: list[Any], counts: list[Any]) -> Any:
    """How often each different code occurs, of codes of which some stand for several."""
    import numpy as np

    ones = [count if len(count) else np.ones_like(part) for part, count in zip(parts, counts, strict=True)]
    codes = np.concatenate(parts)
    order = np.argsort(codes, kind="stable")
    codes = codes[order]
    return np.add.reduceat(np.concatenate(ones)[order], np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]]))


def counting() -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """Blocks of whole buckets to one row per set: rows, keys, keys that occur once, largest count, sum of c * ln(c)."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import numpy as np

        blocks: dict[tuple[int, int], tuple[list[Any], list[Any]]] = {}
        for batch in batches:
            names = zip(*(column.to_pylist() for column in batch.columns[:2]), strict=True)
            for (bucket, grouping), codes, counts in zip(names, *map(_pieces, batch.columns[2:]), strict=True):
                parts = blocks.setdefault((grouping, bucket), ([], []))
                parts[0].append(codes)
                parts[1].append(counts)
        found: dict[int, list[Any]] = {}
        for (grouping, _), (codes, counts) in blocks.items():
            times = _added(codes, counts) if any(map(len, counts)) else _frequencies(codes)
            often = times[times > 1]
            weight = float((often * np.log(often)).sum())
            counted = (int(times.sum()), len(times), len(times) - len(often), int(times.max()), weight)
            found.setdefault(grouping, []).append(counted)
        rows = []
        for grouping, told in found.items():
            sizes, keys, single, largest, weights = zip(*told, strict=True)
            rows.append((grouping, sum(sizes), sum(keys), sum(single), max(largest), math.fsum(weights)))
        yield batch_of(rows, COUNTS)

    return run
