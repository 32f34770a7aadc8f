"""What hangs together in a graph of pairs: connected components by the smallest label (FastSV, Zhang, Azad and Hu 2020)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["components", "labels"]


def components(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
    """From pairs (a, b: text) to (id, cluster): the cluster is the first of its ids in order. All pairs in one task."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    pairs = pa.Table.from_batches(list(batches), schema=pa.schema([("a", pa.string()), ("b", pa.string())]))
    if not pairs.num_rows:
        return
    both = pa.concat_arrays([c.cast(pa.string()).combine_chunks() for c in (pairs.column("a"), pairs.column("b"))])
    known = pc.unique(both)
    known = known.take(pc.sort_indices(known))
    codes = pc.index_in(both, value_set=known).to_numpy(zero_copy_only=False)
    found = labels(codes[: pairs.num_rows], codes[pairs.num_rows :], len(known))
    for start in range(0, len(known), 100_000):
        some = np.arange(start, min(start + 100_000, len(known)))
        yield pa.RecordBatch.from_pydict(
            {"id": known.take(pa.array(some)), "cluster": known.take(pa.array(found[some]))}
        )


def labels(first: Any, second: Any, count: int) -> Any:
    """For nodes 0 to ``count`` - 1, the smallest node that each hangs together with, by edges ``first`` to ``second``."""
    import numpy as np

    parent = np.arange(count)
    while True:
        ours, theirs = parent[first], parent[second]
        low = np.minimum(ours, theirs)
        made = parent.copy()
        np.minimum.at(made, ours, low)  # roots hook onto smaller ones
        np.minimum.at(made, theirs, low)
        np.minimum.at(made, first, low)
        np.minimum.at(made, second, low)
        while not np.array_equal(jumped := made[made], made):
            made = jumped
        if np.array_equal(made, parent):
            return parent
        parent = made
