"""Rows that are alike: which are compared at all (blocks), how alike two are (a score), and which hang together (clusters).

Two rows are compared where they share a **block**: one of several keys. Within a block rows stand in the order of what is
compared; a block that is too large for all its pairs has each row compared with the next few only, and is reported.
The **score** of a pair is the mean of its columns' similarities, weighted, over the columns that both rows fill; these must
carry half of all weight. Pairs that reach ``above`` are joined, and what hangs together is one cluster.

A row is known by the MD5 of its content, so that every pass over the same source finds the same clusters.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.contract.treatment import Kind
from dataward.errors import RunError
from dataward.quality.duplicates.components import components
from dataward.quality.internal import row_id
from dataward.sql import identifier
from dataward.workers import settled

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

__all__ = ["Clusters", "Compared", "Matching", "clusters"]

NEIGHBOURS = 50
"""In a block that is too large, how many rows after it each row is compared with."""

REFUSED = 1_000_000
"""Rows of one block from which on it is no block."""

PAIRS = 200_000
"""Pairs that are compared at a time."""


@dataclass(frozen=True)
class Compared:
    column: str
    kind: Kind = "text"
    weight: float = 1.0


@dataclass(frozen=True)
class Matching:
    """What is compared, from which score on two rows are one, and what they must share to be compared."""

    compared: tuple[Compared, ...]
    above: float
    block: tuple[str, ...] = ()
    largest_block: int = 1000

    @property
    def blocks(self) -> tuple[str, ...]:
        """SQL of each block's key; by default each compared column."""
        return self.block or tuple(identifier(one.column) for one in self.compared)

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(one.column for one in self.compared)


@dataclass(frozen=True)
class Clusters:
    """``members``: id, cluster, score (of its best pair), told (that pair's similarities, JSON). ``notes``: blocks that were split."""

    members: DataFrame
    edges: DataFrame
    notes: tuple[str, ...] = ()

    def held(self) -> Clusters:
        """The same, found now and kept by Spark until :meth:`release`."""
        self.edges.persist()
        self.members.persist().count()
        self.edges.unpersist()
        return self

    def release(self) -> None:
        self.members.unpersist()


def clusters(frame: DataFrame, matching: Matching) -> Clusters:
    """The rows of a frame that are like another one.

    Raises:
        RunError: a block holds more rows than can be brought together.
    """
    from pyspark.sql import functions as F

    keys = [f"if({_complete(key)}, xxhash64({number}, {key}), null)" for number, key in enumerate(matching.blocks)]
    names = [f"c{number}" for number in range(len(matching.compared))]
    texts = [f"{_text(one)} as {name}" for name, one in zip(names, matching.compared, strict=True)]
    rows = frame.select(row_id(frame).alias("id"), *map(F.expr, texts), F.expr(f"array({', '.join(keys)}) as keys"))
    blocked = rows.selectExpr("id", *names, "posexplode(keys) as (rule, block)").where("block is not null")
    sizes = blocked.groupBy("rule", "block").count().where("count > 1")
    told = sizes.groupBy("rule").agg(
        F.sum("count").alias("rows"),
        F.max("count").alias("largest"),
        F.expr(f"count_if(count > {matching.largest_block})").alias("split"),
    )
    found = {row["rule"]: row for row in told.collect()}
    notes = []
    for number, row in sorted(found.items()):
        named = f"block {matching.blocks[number]}"
        if row["largest"] > REFUSED:
            raise RunError(
                f"duplicates: {named} brings {row['largest']:,} rows together, more than {REFUSED:,}: add a second column to it, or "
                "turn the value that so many rows hold into null (normalise: null_when)"
            )
        if row["split"]:
            notes.append(
                f"{named}: {row['split']:,} block(s) of more than {matching.largest_block:,} rows (the largest {row['largest']:,}) were "
                f"split: each row was compared with the next {NEIGHBOURS} in order"
            )
    total = sum(row["rows"] for row in found.values())
    parts = max(1, math.ceil(total / PAIRS))
    together = blocked.repartition(parts, "rule", "block").sortWithinPartitions("rule", "block", *names, "id")
    edges = together.mapInArrow(settled(_pairs(matching)), "a string, b string, score double, told string")
    ends = edges.selectExpr(
        "explode(array(named_struct('id', a, 'score', score, 'told', told), named_struct('id', b, 'score', score, 'told', told))) as end"
    )
    best = ends.groupBy("end.id").agg(
        F.expr("max_by(end.told, struct(end.score, end.told)) as told"), F.expr("max(end.score) as score")
    )
    joined = edges.select("a", "b").repartition(1).mapInArrow(settled(components), "id string, cluster string")
    members = best.join(joined, "id").select("id", "cluster", "score", "told")
    return Clusters(members, edges, tuple(notes))


def _complete(key: str) -> str:
    """SQL: no part of a block's key is null, and not all are empty."""
    return f"concat({key}) <> ''"


def _text(one: Compared) -> str:
    text = f"trim(lower(cast({identifier(one.column)} as string)))"
    if one.kind in ("id", "date"):
        text = f"regexp_replace({text}, '[^\\\\p{{L}}\\\\p{{N}}]', '')"
    return f"nullif({text}, '')"


def _pairs(matching: Matching) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        for whole in _whole_blocks(batches):
            for first, second in _within(whole, matching.largest_block):
                yield from _alike(whole, first, second, matching)

    return run


def _whole_blocks(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Tables that end where a block ends."""
    import numpy as np
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    for batch in batches:
        if not batch.num_rows:
            continue
        blocks = batch.column("block").to_numpy()
        if held and held[-1].column("block")[-1].as_py() != blocks[0]:
            yield pa.Table.from_batches(held)
            held = []
        others = np.flatnonzero(blocks != blocks[-1])
        place = int(others[-1]) + 1 if len(others) else 0
        if place:
            yield pa.Table.from_batches([*held, batch.slice(0, place)])
            held = []
        held.append(batch.slice(place))
    if held:
        yield pa.Table.from_batches(held)


def _within(table: pa.Table, largest: int) -> Iterator[tuple[Any, Any]]:
    """Pairs of places within the blocks of a table, some at a time."""
    import numpy as np

    blocks = table.column("block").to_numpy()
    count = len(blocks)
    starts = np.flatnonzero(np.r_[True, blocks[1:] != blocks[:-1]])
    sizes = np.diff(np.r_[starts, count])
    ends = np.repeat(starts + sizes, sizes)
    partners = ends - 1 - np.arange(count)
    partners = np.where(np.repeat(sizes, sizes) > largest, np.minimum(partners, NEIGHBOURS), partners)
    total = np.cumsum(partners)
    begin = 0
    while begin < count:
        before = total[begin - 1] if begin else 0
        end = max(int(np.searchsorted(total, before + PAIRS)), begin) + 1
        some = partners[begin:end]
        first = np.repeat(np.arange(begin, begin + len(some)), some)
        offset = np.arange(len(first)) - np.repeat(np.cumsum(some) - some, some)
        if len(first):
            yield first, first + 1 + offset
        begin = end


def _alike(table: pa.Table, first: Any, second: Any, matching: Matching) -> Iterator[pa.RecordBatch]:
    """The pairs that reach the score, with what they come to in each column."""
    import numpy as np
    import pyarrow as pa

    score, weight = np.zeros(len(first)), np.zeros(len(first))
    each = []
    for number, one in enumerate(matching.compared):
        column = table.column(f"c{number}").combine_chunks()
        alike = _similarity(column.take(pa.array(first)), column.take(pa.array(second)), one.kind)
        there = ~np.isnan(alike)
        score += np.where(there, alike, 0) * one.weight
        weight += there * one.weight
        each.append(alike)
    enough = weight >= sum(one.weight for one in matching.compared) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        score = np.where(enough, score / weight, 0)
    kept = np.flatnonzero(score >= matching.above)
    if not len(kept):
        return
    told = [
        json.dumps(
            {
                one.column: round(float(alike[place]), 2)
                for one, alike in zip(matching.compared, each, strict=True)
                if not np.isnan(alike[place])
            }
        )
        for place in kept
    ]
    ids = table.column("id").combine_chunks()
    yield pa.RecordBatch.from_pydict(
        {
            "a": ids.take(pa.array(first[kept])).cast(pa.string()),
            "b": ids.take(pa.array(second[kept])).cast(pa.string()),
            "score": pa.array(score[kept], pa.float64()),
            "told": pa.array(told, pa.string()),
        }
    )


def _similarity(left: pa.Array, right: pa.Array, kind: Kind) -> Any:
    """0 to 1 for each pair; NaN where one of the two is null."""
    import numpy as np
    import pyarrow.compute as pc

    present = pc.and_(left.is_valid(), right.is_valid()).to_numpy(zero_copy_only=False)
    found = np.full(len(left), np.nan)
    if not present.any():
        return found
    equal = pc.fill_null(pc.equal(left, right), False).to_numpy(zero_copy_only=False)
    found[present] = equal[present]
    rest = np.flatnonzero(present & ~equal)
    if kind == "exact" or not len(rest):
        return found
    from rapidfuzz import fuzz
    from rapidfuzz.distance import DamerauLevenshtein, JaroWinkler
    from rapidfuzz.process import cpdist

    scorers: dict[str, tuple[Any, float]] = {
        "name": (JaroWinkler.normalized_similarity, 1),
        "text": (JaroWinkler.normalized_similarity, 1),
        "address": (fuzz.token_sort_ratio, 100),
        "id": (DamerauLevenshtein.normalized_similarity, 1),
        "date": (DamerauLevenshtein.normalized_similarity, 1),
    }
    import pyarrow as pa

    scorer, scale = scorers[kind]
    places = pa.array(rest)
    found[rest] = (
        cpdist(left.take(places).to_pylist(), right.take(places).to_pylist(), scorer=scorer, dtype=np.float64) / scale
    )
    return found
