"""How often each key occurs in a part of a table: exact frequencies, kept as blocks that add up over parts.

A key is 128 bits: its own value where that is 64 bits or fewer, else two hashes (xxhash64 under two secret seeds). Two different
keys among N get one code with a chance of about N^2 / 2^129: less than 2^-50 for ten billion keys, so what is counted here is
exact. A block holds different codes of one part and one set of key columns, each with how often it occurs, shut in a
:class:`Box`: codes of whole numbers are the numbers themselves. Blocks add up, of one part as well as of several.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from dataward.privacy.box import Box
from dataward.quality.engines.codes import bucket_of
from dataward.quality.engines.groups import Grouping, counted_code, own_code
from dataward.sql import identifier
from dataward.workers import batch_of, settled

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
"""Of a block beside others: its part is as it was, is no more or is replaced, or is new."""

SPREAD = "bucket int, side int, part string, grouping int, codes binary"
BUCKET = 4_000_000  # codes that are sorted together
HELD = 1 << 16  # codes of one part and set that are held before they are counted
FEW = {"spark.sql.execution.arrow.maxRecordsPerBatch": "64"}
"""Settings under which blocks are read: each is up to 1.5 MB, and Spark knows no other measure of a batch than its rows."""


def coded(frame: DataFrame, sets: list[Grouping], box: Box) -> list[str]:
    """SQL of a row's codes: two for each set of key columns, null where the row is not counted."""
    types = {field.name.lower(): field.dataType.typeName() for field in frame.schema.fields}
    seeds = [
        str(int.from_bytes(hmac.digest(box.secret, f"seed {number}".encode(), "sha256")[:7], "big"))
        for number in (1, 2)
    ]
    found = []
    for grouping in sets:
        first = counted_code(grouping, types, seeds[0])
        second = "0L" if own_code(grouping, types) else counted_code(grouping, types, seeds[1])
        found += [first, second]
    return found


def blocks(frame: DataFrame, sets: list[Grouping], part: str, box: Box) -> DataFrame:
    """The blocks of a frame, by the part (SQL, a text) that each row is of: one pass, no shuffle."""
    codes = [f"{sql} as {identifier(f'code{n}')}" for n, sql in enumerate(coded(frame, sets, box))]
    return frame.selectExpr(f"{part} as part", *codes).mapInArrow(settled(_packing(box)), BLOCKS)


def _packing(box: Box) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        held: dict[tuple[str, int], list[Any]] = {}
        for batch in batches:
            for place, codes in _by_part(batch):
                held.setdefault(place, []).append(codes)
                if sum(part.shape[1] for part in held[place]) >= HELD:
                    yield _block(place, held.pop(place), box)
        for place, parts in held.items():
            yield _block(place, parts, box)

    return run


def _by_part(batch: pa.RecordBatch) -> Iterator[tuple[tuple[str, int], Any]]:
    """((part, number of the set), codes and counts as an array of shape (3, n))."""
    import numpy as np

    parts = batch.column(0).dictionary_encode()
    of = parts.indices.to_numpy(zero_copy_only=False)
    for grouping in range((batch.num_columns - 1) // 2):
        first, second = batch.column(1 + 2 * grouping), batch.column(2 + 2 * grouping)
        counted = first.is_valid().to_numpy(zero_copy_only=False)
        a, b = (column.fill_null(0).to_numpy(zero_copy_only=False) for column in (first, second))
        for number, name in enumerate(parts.dictionary.to_pylist()):
            here = counted & (of == number)
            yield (name, grouping), np.stack([a[here], b[here], np.ones(int(here.sum()), np.int64)])


def _block(place: tuple[str, int], parts: list[Any], box: Box) -> pa.RecordBatch:
    import numpy as np

    (part, grouping), (codes, starts) = place, _sorted(np.concatenate(parts, axis=1))
    counted = codes[:, starts]
    counted[2] = np.add.reduceat(codes[2], starts) if len(starts) else 0
    rows = [(part, grouping, box.shut(_bytes(counted), _place(part, grouping)))] if len(starts) else []
    return batch_of(rows, BLOCKS)


def _place(part: str, grouping: int) -> str:
    return f"keys {grouping} of {part}"


def _bytes(codes: Any) -> bytes:
    """Codes and counts, without the half that is zero for all and without counts that are all one."""
    a, b, counts = codes
    halves, many = bool(b.any()), bool((counts != 1).any())
    parts = [a, *([b] if halves else []), *([counts] if many else [])]
    return b"".join([bytes([halves, many]), *(part.tobytes() for part in parts)])


def _codes(data: bytes) -> Any:
    import numpy as np

    halves, many = data[0], data[1]
    found = np.frombuffer(data, np.int64, offset=2).reshape(1 + halves + many, -1)
    rest = list(found[1:])
    b = rest.pop(0) if halves else np.zeros_like(found[0])
    return np.stack([found[0], b, rest[0] if many else np.ones_like(found[0])])


def _sorted(codes: Any) -> tuple[Any, Any]:
    """The columns by code, and where each different code begins."""
    import numpy as np

    # Blocks come sorted, which a stable sort makes use of; of two keys with one first half next to none are different.
    order = np.argsort(codes[0], kind="stable")
    a, b = codes[0, order], codes[1, order]
    same = a[1:] == a[:-1]
    if (same & (b[1:] != b[:-1])).any():
        order = np.lexsort((codes[1], codes[0]))
        a, b = codes[0, order], codes[1, order]
        same = a[1:] == a[:-1]
    return codes[:, order], np.flatnonzero(np.r_[len(a) > 0, ~same | (b[1:] != b[:-1])])


Probes = dict[int, Any]
"""By set of keys the first halves of codes, sorted."""


def probes(blocks: Iterable[Any], box: Box) -> Probes:
    """All codes of some blocks (rows of :data:`BLOCKS`)."""
    import numpy as np

    found: dict[int, list[Any]] = {}
    for row in blocks:
        codes = _codes(box.open(bytes(row["state"]), _place(row["part"], row["grouping"])))
        found.setdefault(row["grouping"], []).append(codes[0])
    return {grouping: np.unique(np.concatenate(parts)) for grouping, parts in found.items()}


def spread(blocks: DataFrame, rows: float, box: Box, among: Probes | None = None) -> DataFrame:
    """Blocks (with their ``side``) of about so many codes, opened, so that equal codes come to one task; to be read under FEW.

    Of what is kept only codes ``among`` some go on, where these are named.
    """
    buckets = min(max(1, round(rows / BUCKET)), 10_000)
    opened = blocks.select("side", "part", "grouping", "state").mapInArrow(
        settled(_spreading(box, buckets, among)), SPREAD
    )
    return opened.repartition(buckets, "bucket")


def _spreading(
    box: Box, buckets: int, among: Probes | None
) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import numpy as np

        for batch in batches:
            for row in batch.to_pylist():
                place = (row["side"], row["part"], row["grouping"])
                codes = _codes(box.open(row["state"], _place(*place[1:])))
                if among is not None and row["side"] == KEPT:
                    codes = codes[:, _met(codes[0], among.get(row["grouping"]))]
                of = bucket_of(codes[0], buckets)
                mine = ((number, codes[:, of == number]) for number in np.unique(of).tolist())
                yield batch_of([(number, *place, _bytes(some)) for number, some in mine], SPREAD)

    return run


def _met(codes: Any, probe: Any) -> Any:
    """Which codes are among those of a probe."""
    import numpy as np

    if probe is None:
        return np.zeros(len(codes), bool)
    place = np.searchsorted(probe, codes)
    return probe[np.minimum(place, len(probe) - 1)] == codes


def counting() -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """What is spread to two rows per set of keys: of what was (kept or gone), and of what is ``now`` (kept or fresh).

    ``doubled``: codes that occur, or occurred, more than once.
    """

    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import numpy as np

        rows = []
        for grouping, (codes, starts, _) in _together(batches):
            times = _occurrences(codes, starts)
            doubled = int(((times[0] > 1) | (times[1] > 1)).sum())
            for now, found in enumerate(some[some > 0] for some in times):
                weight = float((found * np.log(found)).sum())
                of_all = (int(found.sum()), len(found), int((found == 1).sum()), int(found.max(initial=0)), weight)
                rows.append((grouping, bool(now), *of_all, doubled))
        yield batch_of(rows, COUNTS)

    return run


def holding() -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """The same to one row for each code that occurs, or occurred, more than once, and each part that holds it now."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import numpy as np
        import pyarrow as pa

        for grouping, (codes, starts, names) in _together(batches):
            twice = [times > 1 for times in _occurrences(codes, starts)]
            sizes = np.diff(starts, append=codes.shape[1])
            before, now = (np.repeat(flag, sizes) for flag in twice)
            told = (before | now) & (codes[3] != GONE)
            a, b, _, side, part = codes[:, told]
            yield pa.RecordBatch.from_arrays(
                [
                    pa.array(np.full(len(a), grouping, np.int32)),
                    pa.array(a),
                    pa.array(b),
                    pa.DictionaryArray.from_arrays(part, pa.array(names, pa.string())).cast(pa.string()),
                    *map(pa.array, (side == KEPT, before[told], now[told])),
                ],
                [field.split()[0] for field in HOLDERS.split(", ")],
            )

    return run


def _together(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, tuple[Any, Any, list[str]]]]:
    """Of each set of keys: (codes, counts, sides, parts) sorted by code as an array of shape (5, n), where each code begins, and
    the parts' names."""
    import numpy as np

    found: dict[int, list[Any]] = {}
    names: dict[str, int] = {}
    for batch in batches:
        for row in batch.to_pylist():
            codes = _codes(row["codes"])
            part = names.setdefault(row["part"], len(names))
            beside = np.repeat(np.array([[row["side"]], [part]], np.int64), codes.shape[1], axis=1)
            found.setdefault(row["grouping"], []).append(np.concatenate([codes, beside]))
    for grouping in list(found):
        yield grouping, (*_sorted(np.concatenate(found.pop(grouping), axis=1)), list(names))


def _occurrences(codes: Any, starts: Any) -> tuple[Any, Any]:
    """How often each different code occurred before, and occurs now."""
    import numpy as np

    counts, side = codes[2], codes[3]
    before, now = (np.add.reduceat(np.where(side == other, 0, counts), starts) for other in (FRESH, GONE))
    return before, now
