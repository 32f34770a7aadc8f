"""Count the exact frequencies of keys per part of a table, in mergeable encrypted blocks.

A code has 128 bits: the key itself where it has at most 64 bits, else two hashes (xxhash64 under two secret seeds). Two of N
distinct keys share a code with a probability of about N^2 / 2^129, below 2^-50 for ten billion keys, so the counts are considered
exact. A block holds the distinct codes of one part and one set of key columns with their counts. It is encrypted in a
:class:`Box`, because codes of whole numbers are the numbers themselves. Blocks of one part, and of several parts, can be added.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from dataward.keys.box import Box
from dataward.quality.engines.codes import bucket_of
from dataward.quality.engines.groups import counted_code, own_code
from dataward.quality.metrics.keys import Grouping
from dataward.spark.sql import identifier
from dataward.spark.workers import batch_of, without_delay

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

__all__ = [
    "BLOCKS",
    "COUNTS",
    "FEW",
    "FRESH",
    "GONE",
    "HOLDERS",
    "KEPT",
    "blocks",
    "coded",
    "counting",
    "holding",
    "probes",
    "spread",
]

BLOCKS = "part string, grouping int, state binary"
COUNTS = (
    "grouping int, now boolean, rows bigint, keys bigint, single bigint, largest bigint, weight double, doubled bigint"
)
HOLDERS = "grouping int, a bigint, b bigint, part string, kept boolean, before boolean, now boolean"
KEPT, GONE, FRESH = 0, 1, 2
"""Side of a block: its part is unchanged, was removed or replaced, or is new."""

SPREAD = "bucket int, side int, part string, grouping int, codes binary"
BUCKET = 4_000_000  # codes that one task sorts
HELD = 1 << 16  # codes of one part and set that are collected before they are counted
FEW = {"spark.sql.execution.arrow.maxRecordsPerBatch": "64"}
"""Spark settings while blocks are read: a block has up to 1.5 MB, and Spark limits batches by rows only."""


def coded(frame: DataFrame, sets: list[Grouping], box: Box) -> list[str]:
    """Return SQL of the two halves of a row's code for each set of key columns, null where the row is not counted."""
    types = {field.name.lower(): field.dataType.typeName() for field in frame.schema.fields}
    seeds = [
        str(int.from_bytes(hmac.digest(box.secret, f"seed {number}".encode(), "sha256")[:7], "big"))
        for number in (1, 2)
    ]
    codes = []
    for grouping in sets:
        first = counted_code(grouping, types, seeds[0])
        second = "0L" if own_code(grouping, types) else counted_code(grouping, types, seeds[1])
        codes += [first, second]
    return codes


def blocks(frame: DataFrame, sets: list[Grouping], part: str, box: Box) -> DataFrame:
    """Return the blocks of a frame in one pass without a shuffle; ``part`` is SQL of a text that identifies a row's part."""
    codes = [f"{sql} as {identifier(f'code{n}')}" for n, sql in enumerate(coded(frame, sets, box))]
    return frame.selectExpr(f"{part} as part", *codes).mapInArrow(without_delay(_packing(box)), BLOCKS)


def _packing(box: Box) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """Return a function for ``mapInArrow`` from codes to blocks."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        pending: dict[tuple[str, int], list[Any]] = {}
        for batch in batches:
            for place, codes in _by_part(batch):
                pending.setdefault(place, []).append(codes)
                if sum(part.shape[1] for part in pending[place]) >= HELD:
                    yield _block(place, pending.pop(place), box)
        for place, parts in pending.items():
            yield _block(place, parts, box)

    return run


def _by_part(batch: pa.RecordBatch) -> Iterator[tuple[tuple[str, int], Any]]:
    """Yield (part, number of the set) and an array of shape (3, n): both halves of the codes, and counts of 1."""
    import numpy as np

    parts = batch.column(0).dictionary_encode()
    part_numbers = parts.indices.to_numpy(zero_copy_only=False)
    for grouping in range((batch.num_columns - 1) // 2):
        first, second = batch.column(1 + 2 * grouping), batch.column(2 + 2 * grouping)
        counted = first.is_valid().to_numpy(zero_copy_only=False)
        a, b = (column.fill_null(0).to_numpy(zero_copy_only=False) for column in (first, second))
        for number, name in enumerate(parts.dictionary.to_pylist()):
            selected = counted & (part_numbers == number)
            yield (name, grouping), np.stack([a[selected], b[selected], np.ones(int(selected.sum()), np.int64)])


def _block(place: tuple[str, int], parts: list[Any], box: Box) -> pa.RecordBatch:
    """Count the codes of a part and set, and return them as encrypted block."""
    import numpy as np

    (part, grouping), (codes, starts) = place, _sorted(np.concatenate(parts, axis=1))
    counted = codes[:, starts]
    counted[2] = np.add.reduceat(codes[2], starts) if len(starts) else 0
    rows = [(part, grouping, box.shut(_bytes(counted), _place(part, grouping)))] if len(starts) else []
    return batch_of(rows, BLOCKS)


def _place(part: str, grouping: int) -> str:
    return f"keys {grouping} of {part}"


def _bytes(codes: Any) -> bytes:
    """Serialise codes and counts, without second halves that are all zero and without counts that are all one."""
    a, b, counts = codes
    halves, many = bool(b.any()), bool((counts != 1).any())
    parts = [a, *([b] if halves else []), *([counts] if many else [])]
    return b"".join([bytes([halves, many]), *(part.tobytes() for part in parts)])


def _codes(data: bytes) -> Any:
    """Deserialise the result of :func:`_bytes` to an array of shape (3, n)."""
    import numpy as np

    halves, many = data[0], data[1]
    stored = np.frombuffer(data, np.int64, offset=2).reshape(1 + halves + many, -1)
    rest = list(stored[1:])
    b = rest.pop(0) if halves else np.zeros_like(stored[0])
    return np.stack([stored[0], b, rest[0] if many else np.ones_like(stored[0])])


def _sorted(codes: Any) -> tuple[Any, Any]:
    """Sort the columns by code; returns them, and the index at which each distinct code begins."""
    import numpy as np

    # A stable sort is fast on sorted blocks; hardly ever do two distinct codes share the first half.
    order = np.argsort(codes[0], kind="stable")
    a, b = codes[0, order], codes[1, order]
    same = a[1:] == a[:-1]
    if (same & (b[1:] != b[:-1])).any():
        order = np.lexsort((codes[1], codes[0]))
        a, b = codes[0, order], codes[1, order]
        same = a[1:] == a[:-1]
    return codes[:, order], np.flatnonzero(np.r_[len(a) > 0, ~same | (b[1:] != b[:-1])])


Probes = dict[int, Any]
"""Sorted first halves of codes, by set of keys."""


def probes(blocks: Iterable[Any], box: Box) -> Probes:
    """Return the codes of blocks (rows of :data:`BLOCKS`)."""
    import numpy as np

    by_grouping: dict[int, list[Any]] = {}
    for row in blocks:
        codes = _codes(box.open(bytes(row["state"]), _place(row["part"], row["grouping"])))
        by_grouping.setdefault(row["grouping"], []).append(codes[0])
    return {grouping: np.unique(np.concatenate(parts)) for grouping, parts in by_grouping.items()}


def spread(blocks: DataFrame, rows: float, box: Box, among: Probes | None = None) -> DataFrame:
    """Decrypt blocks and repartition their codes, so that equal codes are in one task; to be read under :data:`FEW`.

    Args:
        blocks: blocks with their ``side``.
        rows: approximate number of codes.
        box: key of the blocks.
        among: if given, only these codes of unchanged parts (:data:`KEPT`) are selected.
    """
    buckets = min(max(1, round(rows / BUCKET)), 10_000)
    opened = blocks.select("side", "part", "grouping", "state").mapInArrow(
        without_delay(_spreading(box, buckets, among)), SPREAD
    )
    return opened.repartition(buckets, "bucket")


def _spreading(
    box: Box, buckets: int, among: Probes | None
) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """Return a function for ``mapInArrow`` from blocks to codes by bucket."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import numpy as np

        for batch in batches:
            for row in batch.to_pylist():
                place = (row["side"], row["part"], row["grouping"])
                codes = _codes(box.open(row["state"], _place(*place[1:])))
                if among is not None and row["side"] == KEPT:
                    codes = codes[:, _met(codes[0], among.get(row["grouping"]))]
                bucket_numbers = bucket_of(codes[0], buckets)
                by_bucket = (
                    (number, codes[:, bucket_numbers == number]) for number in np.unique(bucket_numbers).tolist()
                )
                yield batch_of([(number, *place, _bytes(selected)) for number, selected in by_bucket], SPREAD)

    return run


def _met(codes: Any, probe: Any) -> Any:
    """Return which codes are among those of a probe, as boolean array."""
    import numpy as np

    if probe is None:
        return np.zeros(len(codes), bool)
    place = np.searchsorted(probe, codes)
    return probe[np.minimum(place, len(probe) - 1)] == codes


def counting() -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """Return a function for ``mapInArrow`` from spread codes to two rows of :data:`COUNTS` per set of keys.

    One row counts the earlier state (kept and gone parts), one the state ``now`` (kept and fresh parts). ``doubled`` is the number of
    codes that occur more than once in either.
    """

    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import numpy as np

        rows = []
        for grouping, (codes, starts, _) in _together(batches):
            times = _occurrences(codes, starts)
            doubled = int(((times[0] > 1) | (times[1] > 1)).sum())
            for now, frequencies in enumerate(counts[counts > 0] for counts in times):
                weight = float((frequencies * np.log(frequencies)).sum())
                totals = (
                    int(frequencies.sum()),
                    len(frequencies),
                    int((frequencies == 1).sum()),
                    int(frequencies.max(initial=0)),
                    weight,
                )
                rows.append((grouping, bool(now), *totals, doubled))
        yield batch_of(rows, COUNTS)

    return run


def holding() -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """Return a function for ``mapInArrow`` from spread codes to rows of :data:`HOLDERS`.

    There is one row for each code that occurs more than once, earlier or now, and each part that holds it now.
    """

    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import numpy as np
        import pyarrow as pa

        for grouping, (codes, starts, names) in _together(batches):
            twice = [times > 1 for times in _occurrences(codes, starts)]
            sizes = np.diff(starts, append=codes.shape[1])
            before, now = (np.repeat(flag, sizes) for flag in twice)
            selected = (before | now) & (codes[3] != GONE)
            a, b, _, side, part = codes[:, selected]
            yield pa.RecordBatch.from_arrays(
                [
                    pa.array(np.full(len(a), grouping, np.int32)),
                    pa.array(a),
                    pa.array(b),
                    pa.DictionaryArray.from_arrays(part, pa.array(names, pa.string())).cast(pa.string()),
                    *map(pa.array, (side == KEPT, before[selected], now[selected])),
                ],
                [field.split()[0] for field in HOLDERS.split(", ")],
            )

    return run


def _together(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, tuple[Any, Any, list[str]]]]:
    """Collect the codes of each set of keys.

    Yields:
        Number of the set; an array of shape (5, n) with both halves of the codes, counts, sides and part numbers, sorted by code;
        the index at which each distinct code begins; the names of the parts.
    """
    import numpy as np

    by_grouping: dict[int, list[Any]] = {}
    names: dict[str, int] = {}
    for batch in batches:
        for row in batch.to_pylist():
            codes = _codes(row["codes"])
            part = names.setdefault(row["part"], len(names))
            side_and_part = np.repeat(np.array([[row["side"]], [part]], np.int64), codes.shape[1], axis=1)
            by_grouping.setdefault(row["grouping"], []).append(np.concatenate([codes, side_and_part]))
    for grouping in list(by_grouping):
        yield grouping, (*_sorted(np.concatenate(by_grouping.pop(grouping), axis=1)), list(names))


def _occurrences(codes: Any, starts: Any) -> tuple[Any, Any]:
    """Return the counts of each distinct code in the earlier state, and now."""
    import numpy as np

    counts, side = codes[2], codes[3]
    before, now = (np.add.reduceat(np.where(side == excluded, 0, counts), starts) for excluded in (FRESH, GONE))
    return before, now
