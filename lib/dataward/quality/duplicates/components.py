"""Compute the connected components of a graph of pairs by the smallest label (FastSV, Zhang, Azad and Hu 2020)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["components", "labels"]


def components(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
    """Map pairs (a, b: string) to (id, cluster: string); a cluster is named by the smallest of its ids.

    For ``mapInArrow`` over a frame of one partition: one task must see all pairs.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    pairs = pa.Table.from_batches(list(batches), schema=pa.schema([("a", pa.string()), ("b", pa.string())]))
    if not pairs.num_rows:
        return
    ends = pa.concat_arrays([c.cast(pa.string()).combine_chunks() for c in (pairs.column("a"), pairs.column("b"))])
    ids = pc.unique(ends)
    ids = ids.take(pc.sort_indices(ids))
    codes = pc.index_in(ends, value_set=ids).to_numpy(zero_copy_only=False)
    roots = labels(codes[: pairs.num_rows], codes[pairs.num_rows :], len(ids))
    for start in range(0, len(ids), 100_000):
        slice_ = np.arange(start, min(start + 100_000, len(ids)))
        yield pa.RecordBatch.from_pydict(
            {"id": ids.take(pa.array(slice_)), "cluster": ids.take(pa.array(roots[slice_]))}
        )


def labels(first: Any, second: Any, count: int) -> Any:
    """Return for each node the smallest node of its connected component.

    Args:
        first: integer array, one end of each edge.
        second: integer array, the other end.
        count: number of nodes; nodes are 0 to ``count`` - 1.
    """
    import numpy as np

    parent = np.arange(count)
    while True:
        first_parent, second_parent = parent[first], parent[second]
        smaller = np.minimum(first_parent, second_parent)
        hooked = parent.copy()
        np.minimum.at(hooked, first_parent, smaller)  # hook parents and nodes onto the smaller parent
        np.minimum.at(hooked, second_parent, smaller)
        np.minimum.at(hooked, first, smaller)
        np.minimum.at(hooked, second, smaller)
        while not np.array_equal(shortened := hooked[hooked], hooked):
            hooked = shortened
        if np.array_equal(hooked, parent):
            return parent
        parent = hooked
