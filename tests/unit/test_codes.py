"""Counting equal codes over batches: whatever the batches, buckets and repeats, it is what a Counter counts."""

import math
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataward.quality.engines import codes
from tests.cases import cases

values = st.one_of(
    st.none(), st.integers(-3, 3), st.sampled_from([-(2**63), 2**63 - 1]), st.integers(-(2**63), 2**63 - 1)
)
batches = st.lists(st.lists(st.tuples(values, values), max_size=12), max_size=6)


def counted(parts, buckets, flush):
    """Every batch as a task of its own, blocks brought together by bucket as a shuffle would."""
    before, codes.FLUSH = codes.FLUSH, flush
    try:
        tasks = [
            [pa.RecordBatch.from_arrays([pa.array([row[n] for row in part], pa.int64()) for n in (0, 1)], ["a", "b"])]
            for part in parts
        ]
        blocks = [block for task in tasks for block in codes.packing(buckets)(task)]
    finally:
        codes.FLUSH = before
    rows = [
        dict(zip(block.schema.names, row, strict=True))
        for block in blocks
        for row in zip(*(c.to_pylist() for c in block.columns), strict=True)
    ]
    found = {}
    for bucket in range(buckets):
        mine = [row for row in rows if row["bucket"] == bucket]
        schema = pa.schema(
            [("bucket", pa.int32()), ("grouping", pa.int32()), ("codes", pa.binary()), ("counts", pa.binary())]
        )
        (told,) = codes.counting()([pa.RecordBatch.from_pylist(mine, schema)])
        for grouping, count, keys, single, largest, weight in zip(
            *(column.to_pylist() for column in told.columns), strict=True
        ):
            old = found.get(grouping, (0, 0, 0, 0, 0.0))
            found[grouping] = (old[0] + count, old[1] + keys, old[2] + single, max(old[3], largest), old[4] + weight)
    return found


@cases()
@given(batches, st.integers(1, 5), st.sampled_from([1, 5, 1 << 20]))
def test_counts_are_a_counters(parts, buckets, flush):
    found = counted(parts, buckets, flush)
    for grouping in (0, 1):
        counter = Counter(row[grouping] for part in parts for row in part if row[grouping] is not None)
        sizes = counter.values()
        expected = (
            sum(sizes),
            len(counter),
            sum(size == 1 for size in sizes),
            max(sizes, default=0),
            sum(n * math.log(n) for n in sizes),
        )
        assert found.get(grouping, (0, 0, 0, 0, 0.0)) == (*expected[:4], pytest.approx(expected[4]))


def test_buckets_are_even_for_whole_numbers_in_a_row():
    batch = pa.RecordBatch.from_arrays([pa.array(np.arange(10_000))], ["a"])
    (block,) = codes.packing(8)([batch])
    sizes = [len(part) // 8 for part in block.column(2).to_pylist()]
    assert sum(sizes) == 10_000
    assert max(sizes) < 1.2 * min(sizes)
