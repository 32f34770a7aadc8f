"""Of rows that are the same thing one stays; the others are diverted, and may leave it what it lacks."""

from __future__ import annotations

from dataward.contract.treatment import Duplicates
from dataward.quality.duplicates.matching import Compared, Matching, clusters
from dataward.quality.internal import INTERNAL, ROW, content
from dataward.quality.repair.working import Working
from dataward.sql import identifier, literal

__all__ = ["matching", "settle"]

CLUSTER, RANK, TOLD, ALONE, SIZE = (f"{INTERNAL}{name}" for name in ("cluster", "rank", "told", "alone", "size"))


def matching(how: Duplicates) -> Matching:
    """What a contract's ``similar`` asks to compare."""
    compared = tuple(Compared(name, one.as_, one.weight) for name, one in how.similar.items())
    return Matching(compared, how.above, how.block, how.largest_block)


def settle(working: Working, name: str, how: Duplicates) -> None:
    """Find the rows that are the same and decide which stays; what was found is held by Spark."""
    from pyspark.sql import functions as F

    treatment = f"duplicates.{name}"
    if how.on:
        names = [working.name(column) for column in how.on]
        whole = " and ".join(f"{identifier(column)} is not null" for column in names)
        told = literal(f"{treatment}: another row has the same {', '.join(how.on)}")
        working.replace({CLUSTER: f"if({working.live()} and {whole}, {content(names)}, null)", TOLD: told})
        candidates, others = working.frame, None
    else:
        own = [identifier(column) for column in working.own]
        found = clusters(working.frame.where(working.live()).select(*own), matching(how)).held()
        working.notes += [f"{treatment}: {note}" for note in found.notes]
        working.releases.append(found.release)
        with_id = working.frame.withColumn(ROW, F.expr(content(working.own)))
        why = f"concat({literal(f'{treatment}: like another row, ')}, format_number(score, 2), ' ', told)"
        members = found.members.selectExpr(f"id as {ROW}", f"cluster as {CLUSTER}", f"{why} as {TOLD}")
        marked = with_id.join(members, ROW, "left").drop(ROW)
        marked = marked.withColumn(CLUSTER, F.expr(f"if({working.live()}, {CLUSTER}, null)"))
        # Only rows that are like another one are brought together.
        candidates, others = marked.where(f"{CLUSTER} is not null"), marked.where(f"{CLUSTER} is null")
    working.frame = candidates
    _rank(working, treatment, how)
    if others is not None:
        working.frame = working.frame.unionByName(others.drop(CLUSTER, TOLD), allowMissingColumns=True)


def _rank(working: Working, treatment: str, how: Duplicates) -> None:
    filled = " + ".join(f"cast({identifier(column)} is not null as int)" for column in working.own)
    by = identifier(working.name(how.by)) if how.by else ""
    first = {"newest": f"{by} desc nulls last, ", "oldest": f"{by} asc nulls last, "}.get(how.keep, "")
    order = f"{first}{filled} desc, {content(working.own)}"
    apart = f"partition by {CLUSTER}"
    # A row that is in no cluster is a cluster of one: a random key would be another one in every pass, a null key one task.
    single = f"concat('alone ', {content(working.own)})"
    working.replace({CLUSTER: f"coalesce({CLUSTER}, {single})", ALONE: f"{CLUSTER} is null"})
    working.replace({RANK: f"row_number() over ({apart} order by {order})", SIZE: f"count(*) over ({apart})"})
    same = f"(not {ALONE} and {SIZE} > 1)"
    surplus = f"({same} and ({'true' if how.keep == 'none' else f'{RANK} > 1'}))"
    if how.keep == "merge":
        every = f"{apart} order by {order} rows between unbounded preceding and unbounded following"
        merged = {
            name: f"if({same} and {RANK} = 1, first({identifier(name)}, true) over ({every}), {identifier(name)})"
            for name in working.own
        }
        was = {f"{INTERNAL}was{n}": identifier(name) for n, name in enumerate(working.own)}
        working.replace(was)
        working.replace(merged)
        for column, name in zip(was, working.own, strict=True):
            working.tally(
                treatment, name, ("merged",), f"if({column} is null and {identifier(name)} is not null, 'merged', null)"
            )
        working.frame = working.frame.drop(*was)
    working.tally(treatment, None, ("diverted", "kept"), f"if({surplus}, 'diverted', if({same}, 'kept', null))")
    working.divert(TOLD, [*how.on, *how.similar], surplus)
    working.frame = working.frame.drop(CLUSTER, RANK, TOLD, ALONE, SIZE)
