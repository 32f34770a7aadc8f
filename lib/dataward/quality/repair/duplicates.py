"""Resolve duplicates: keep one row of each cluster, divert the others, fill its nulls from them where the contract asks."""

from __future__ import annotations

from dataward.contract.treatment import Duplicates
from dataward.quality.duplicates.matching import Compared, Matching, clusters
from dataward.quality.internal import INTERNAL, ROW, content
from dataward.quality.repair.working import Working
from dataward.spark.sql import identifier, literal

__all__ = ["matching", "settle"]

CLUSTER, RANK, REASON, ALONE, SIZE = (f"{INTERNAL}{name}" for name in ("cluster", "rank", "reason", "alone", "size"))


def matching(how: Duplicates) -> Matching:
    """Return the matching that a contract's ``similar`` describes."""
    compared = tuple(Compared(name, column.as_, column.weight) for name, column in how.similar.items())
    return Matching(compared, how.above, how.block, how.largest_block)


def settle(working: Working, name: str, how: Duplicates) -> None:
    """Find duplicate rows, decide which row of a cluster stays, and divert the others.

    Clusters of similar rows are computed once, and persisted until the run's ``releases``.
    """
    from pyspark.sql import functions as F

    treatment = f"duplicates.{name}"
    if how.on:
        names = [working.name(column) for column in how.on]
        whole = " and ".join(f"{identifier(column)} is not null" for column in names)
        reason = literal(f"{treatment}: another row has the same {', '.join(how.on)}")
        working.replace({CLUSTER: f"if({working.live()} and {whole}, {content(names)}, null)", REASON: reason})
        candidates, others = working.frame, None
    else:
        own = [identifier(column) for column in working.own]
        similar = clusters(working.frame.where(working.live()).select(*own), matching(how)).held()
        working.notes += [f"{treatment}: {note}" for note in similar.notes]
        working.releases.append(similar.release)
        with_id = working.frame.withColumn(ROW, F.expr(content(working.own)))
        why = f"concat({literal(f'{treatment}: like another row, ')}, format_number(score, 2), ' ', similarities)"
        members = similar.members.selectExpr(f"id as {ROW}", f"cluster as {CLUSTER}", f"{why} as {REASON}")
        marked = with_id.join(members, ROW, "left").drop(ROW)
        marked = marked.withColumn(CLUSTER, F.expr(f"if({working.live()}, {CLUSTER}, null)"))
        # Only members of clusters take part in the window functions.
        candidates, others = marked.where(f"{CLUSTER} is not null"), marked.where(f"{CLUSTER} is null")
    working.frame = candidates
    _rank(working, treatment, how)
    if others is not None:
        working.frame = working.frame.unionByName(others.drop(CLUSTER, REASON), allowMissingColumns=True)


def _rank(working: Working, treatment: str, how: Duplicates) -> None:
    """Rank the rows of each cluster, merge values where asked, and divert all rows but the first."""
    filled = " + ".join(f"cast({identifier(column)} is not null as int)" for column in working.own)
    time = identifier(working.name(how.by)) if how.by else ""
    first = {"newest": f"{time} desc nulls last, ", "oldest": f"{time} asc nulls last, "}.get(how.keep, "")
    order = f"{first}{filled} desc, {content(working.own)}"
    partition = f"partition by {CLUSTER}"
    # A row without a cluster is partitioned by its own content: a random key would differ in every pass, and a null key would
    # bring all such rows into one task.
    single = f"concat('alone ', {content(working.own)})"
    working.replace({CLUSTER: f"coalesce({CLUSTER}, {single})", ALONE: f"{CLUSTER} is null"})
    working.replace({RANK: f"row_number() over ({partition} order by {order})", SIZE: f"count(*) over ({partition})"})
    same = f"(not {ALONE} and {SIZE} > 1)"
    surplus = f"({same} and ({'true' if how.keep == 'none' else f'{RANK} > 1'}))"
    if how.keep == "merge":
        every = f"{partition} order by {order} rows between unbounded preceding and unbounded following"
        merged = {
            name: f"if({same} and {RANK} = 1, first({identifier(name)}, true) over ({every}), {identifier(name)})"
            for name in working.own
        }
        before = {f"{INTERNAL}was{n}": identifier(name) for n, name in enumerate(working.own)}
        working.replace(before)
        working.replace(merged)
        for column, name in zip(before, working.own, strict=True):
            working.tally(
                treatment, name, ("merged",), f"if({column} is null and {identifier(name)} is not null, 'merged', null)"
            )
        working.frame = working.frame.drop(*before)
    working.tally(treatment, None, ("diverted", "kept"), f"if({surplus}, 'diverted', if({same}, 'kept', null))")
    working.divert(REASON, [*how.on, *how.similar], surplus)
    working.frame = working.frame.drop(CLUSTER, RANK, REASON, ALONE, SIZE)
