"""Find similar rows: select candidate pairs by blocks, score each pair, join pairs to clusters.

Two rows are compared where they share a **block**, the value of one of several SQL keys. In a block with too many rows for all
pairs, rows are sorted by the compared columns and each is compared with its next neighbours only; a note reports such a block.
The **score** of a pair is the weighted mean of its columns' similarities over the columns that are not null in both rows; these
must carry at least half of the total weight. Pairs with a score of at least ``above`` are edges, and a cluster is a connected
component of their graph.

The id of a row is the MD5 of its content, so that every pass over the same source finds the same clusters.
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
from dataward.spark.held import Held, hold, persisted
from dataward.spark.sql import identifier
from dataward.spark.workers import without_delay

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

__all__ = ["Clusters", "Compared", "Matching", "clusters"]

NEIGHBOURS = 50
"""Number of following rows that a row is compared with in a block that is too large."""

REFUSED = 1_000_000
"""Largest number of rows of one block; a larger block is refused."""

PAIRS = 200_000
"""Number of pairs that are scored at a time."""


@dataclass(frozen=True)
class Compared:
    """One compared column, its similarity measure and its weight."""

    column: str
    kind: Kind = "text"
    weight: float = 1.0


@dataclass(frozen=True)
class Matching:
    """Definition of similar rows.

    Attributes:
        compared: the columns that are compared.
        above: smallest score of two rows that are the same, 0 to 1.
        block: SQL keys; rows are compared where one of them is equal. Empty: each compared column.
        largest_block: most rows of a block of which all pairs are compared.
    """

    compared: tuple[Compared, ...]
    above: float
    block: tuple[str, ...] = ()
    largest_block: int = 1000

    @property
    def blocks(self) -> tuple[str, ...]:
        """SQL of each block's key."""
        return self.block or tuple(map(identifier, self.columns))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the compared columns."""
        return tuple(compared.column for compared in self.compared)


@dataclass(frozen=True)
class Clusters:
    """Clusters of similar rows.

    Attributes:
        members: columns id, cluster, score (of the row's best pair), similarities (of that pair by column, JSON).
        edges: columns a, b, score, similarities; one row per pair.
        notes: blocks in which not all pairs were compared.
        kept: holds the members in memory.
    """

    members: DataFrame
    edges: DataFrame
    notes: tuple[str, ...] = ()
    kept: Held | None = None

    def held(self) -> Clusters:
        """Compute the members now and persist them until :meth:`release`."""
        edges = persisted(self.edges)
        kept = hold(self.members)
        if edges is not None:
            edges.unpersist()
        return Clusters(kept.frame, self.edges, self.notes, kept)

    def release(self) -> None:
        """Unpersist the members."""
        if self.kept is not None:
            self.kept.release()


def clusters(frame: DataFrame, matching: Matching) -> Clusters:
    """Find the rows of a frame that are similar to another row; runs one Spark job that counts the blocks.

    Raises:
        RunError: a block holds more than :data:`REFUSED` rows.
    """
    from pyspark.sql import functions as F

    keys = [f"if({_complete(key)}, xxhash64({number}, {key}), null)" for number, key in enumerate(matching.blocks)]
    names = [f"c{number}" for number in range(len(matching.compared))]
    texts = [f"{_text(compared)} as {name}" for name, compared in zip(names, matching.compared, strict=True)]
    rows = frame.select(row_id(frame).alias("id"), *map(F.expr, texts), F.expr(f"array({', '.join(keys)}) as keys"))
    blocked = rows.selectExpr("id", *names, "posexplode(keys) as (rule, block)").where("block is not null")
    sizes = blocked.groupBy("rule", "block").count().where("count > 1")
    block_counts = sizes.groupBy("rule").agg(
        F.sum("count").alias("rows"),
        F.max("count").alias("largest"),
        F.expr(f"count_if(count > {matching.largest_block})").alias("split"),
    )
    by_rule = {row["rule"]: row for row in block_counts.collect()}
    notes = []
    for number, row in sorted(by_rule.items()):
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
    total = sum(row["rows"] for row in by_rule.values())
    parts = max(1, math.ceil(total / PAIRS))
    together = blocked.repartition(parts, "rule", "block").sortWithinPartitions("rule", "block", *names, "id")
    edges = together.mapInArrow(
        without_delay(_pairs(matching)), "a string, b string, score double, similarities string"
    )
    ends = edges.selectExpr(
        "explode(array(named_struct('id', a, 'score', score, 'similarities', similarities), "
        "named_struct('id', b, 'score', score, 'similarities', similarities))) as end"
    )
    best = ends.groupBy("end.id").agg(
        F.expr("max_by(end.similarities, struct(end.score, end.similarities)) as similarities"),
        F.expr("max(end.score) as score"),
    )
    joined = edges.select("a", "b").repartition(1).mapInArrow(without_delay(components), "id string, cluster string")
    members = best.join(joined, "id").select("id", "cluster", "score", "similarities")
    return Clusters(members, edges, tuple(notes))


def _complete(key: str) -> str:
    """Return SQL: whether no part of a block's key is null and at least one is not empty."""
    return f"concat({key}) <> ''"


def _text(compared: Compared) -> str:
    """Return SQL of a column's normalised text; null where it is empty."""
    text = f"trim(lower(cast({identifier(compared.column)} as string)))"
    if compared.kind in ("id", "date"):
        text = f"regexp_replace({text}, '[^\\\\p{{L}}\\\\p{{N}}]', '')"
    return f"nullif({text}, '')"


def _pairs(matching: Matching) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """Return a function for ``mapInArrow`` from rows sorted by block to edges."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        for whole in _whole_blocks(batches):
            for first, second in _candidate_pairs(whole, matching.largest_block):
                yield from _scored(whole, first, second, matching)

    return run


def _whole_blocks(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Group batches to tables of whole blocks."""
    import numpy as np
    import pyarrow as pa

    pending: list[pa.RecordBatch] = []
    for batch in batches:
        if not batch.num_rows:
            continue
        blocks = batch.column("block").to_numpy()
        if pending and pending[-1].column("block")[-1].as_py() != blocks[0]:
            yield pa.Table.from_batches(pending)
            pending = []
        earlier = np.flatnonzero(blocks != blocks[-1])
        start = int(earlier[-1]) + 1 if len(earlier) else 0
        if start:
            yield pa.Table.from_batches([*pending, batch.slice(0, start)])
            pending = []
        pending.append(batch.slice(start))
    if pending:
        yield pa.Table.from_batches(pending)


def _candidate_pairs(table: pa.Table, largest: int) -> Iterator[tuple[Any, Any]]:
    """Yield row numbers (first, second) of the pairs within the blocks of a table, about :data:`PAIRS` at a time."""
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
        counts = partners[begin:end]
        first = np.repeat(np.arange(begin, begin + len(counts)), counts)
        offset = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
        if len(first):
            yield first, first + 1 + offset
        begin = end


def _scored(table: pa.Table, first: Any, second: Any, matching: Matching) -> Iterator[pa.RecordBatch]:
    """Yield the pairs whose score is at least ``above``, with the similarity of each column as JSON."""
    import numpy as np
    import pyarrow as pa

    score, weight = np.zeros(len(first)), np.zeros(len(first))
    similarities = []
    for number, compared in enumerate(matching.compared):
        column = table.column(f"c{number}").combine_chunks()
        similarity = _similarity(column.take(pa.array(first)), column.take(pa.array(second)), compared.kind)
        present = ~np.isnan(similarity)
        score += np.where(present, similarity, 0) * compared.weight
        weight += present * compared.weight
        similarities.append(similarity)
    enough = weight >= sum(compared.weight for compared in matching.compared) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        score = np.where(enough, score / weight, 0)
    kept = np.flatnonzero(score >= matching.above)
    if not len(kept):
        return
    texts = [
        json.dumps(
            {
                compared.column: round(float(similarity[place]), 2)
                for compared, similarity in zip(matching.compared, similarities, strict=True)
                if not np.isnan(similarity[place])
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
            "similarities": pa.array(texts, pa.string()),
        }
    )


def _similarity(left: pa.Array, right: pa.Array, kind: Kind) -> Any:
    """Return the similarity of each pair, 0 to 1; NaN where one of the two values is null."""
    import numpy as np
    import pyarrow.compute as pc

    present = pc.and_(left.is_valid(), right.is_valid()).to_numpy(zero_copy_only=False)
    result = np.full(len(left), np.nan)
    if not present.any():
        return result
    equal = pc.fill_null(pc.equal(left, right), False).to_numpy(zero_copy_only=False)
    result[present] = equal[present]
    rest = np.flatnonzero(present & ~equal)
    if kind == "exact" or not len(rest):
        return result
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
    result[rest] = (
        cpdist(left.take(places).to_pylist(), right.take(places).to_pylist(), scorer=scorer, dtype=np.float64) / scale
    )
    return result
