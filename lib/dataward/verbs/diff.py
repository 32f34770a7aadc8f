"""Compare two versions of a target: rows added, removed and changed by key; values stay protected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.errors import TargetError, UsageError, did_you_mean
from dataward.pipeline.guard import guarded
from dataward.pipeline.plan import Plan
from dataward.spark.session import isolated
from dataward.spark.sql import column, identifier
from dataward.tables import delta
from dataward.tables.reason import reason

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Difference", "diff"]


@dataclass(frozen=True)
class Difference:
    """Differences of two versions.

    Attributes:
        key: the columns by which rows were matched; empty: whole rows were compared, so that none counts as changed.
        columns_changed: number of changed rows that differ in a column, by column.
        columns_added, columns_removed: columns of only the later, or only the earlier version.
        examples: stored keys of rows that differ, and their difference as ``what``; at most the requested number.
    """

    target: str
    earlier: int
    later: int
    key: tuple[str, ...]
    added: int
    removed: int
    changed: int
    unchanged: int
    columns_changed: dict[str, int]
    columns_added: tuple[str, ...] = ()
    columns_removed: tuple[str, ...] = ()
    examples: tuple[dict[str, Any], ...] = ()


@guarded("diff")
def diff(
    spark: SparkSession, plan: Plan, earlier: int, later: int, key: Sequence[str] = (), examples: int = 0
) -> Difference:
    """Compare two versions of the contract's target in one pass over both.

    Args:
        spark: the session.
        plan: the contract.
        earlier: a version.
        later: another version.
        key: columns that identify a row; default: those of a merge.
        examples: number of keys of differing rows to return.

    Raises:
        UsageError: a key column does not exist, or several rows have the same key.
        TargetError: a version cannot be read (VACUUM and log cleanup remove old ones).
    """
    target = plan.contract.target
    with isolated(spark) as own:
        try:
            before, after = (delta.read(own, target, version) for version in (earlier, later))
            shared = [name for name in before.columns if name in after.columns]
            names = tuple(key or target.on)
            for name in names:
                if name not in shared:
                    raise UsageError(
                        f"--key {name}: both versions need the column; {did_you_mean(name, shared) or 'it is not there'}"
                    )
            counts, shown = (_by_key if names else _by_row)(before, after, names, shared, examples)
        except UsageError:
            raise
        except Exception as error:
            raise TargetError(
                f"{target}: versions {earlier} and {later} cannot be compared ({reason(error)})"
            ) from None
    if counts.pop("repeated", 0):
        raise UsageError(f"several rows have the same {', '.join(names)}: give columns that identify a row with --key")
    return Difference(
        str(target), earlier, later, names, **counts, examples=tuple(shown),
        columns_added=tuple(name for name in after.columns if name not in shared),
        columns_removed=tuple(name for name in before.columns if name not in shared),
    )  # fmt: skip


def _by_key(
    before: DataFrame, after: DataFrame, key: tuple[str, ...], shared: list[str], examples: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    from pyspark.sql import functions as F

    rest = [name for name in shared if name not in key]
    one, two = before.withColumn("__there", F.lit(1)).alias("a"), after.withColumn("__there", F.lit(1)).alias("b")
    same = [column("a", name).eqNullSafe(column("b", name)) for name in key]
    condition = same[0]
    for more in same[1:]:
        condition &= more
    joined = one.join(two, condition, "fullouter")
    differs = {name: ~_comparable(before, "a", name).eqNullSafe(_comparable(before, "b", name)) for name in rest}
    there, here = column("a", "__there").isNotNull(), column("b", "__there").isNotNull()
    changed = F.lit(False)
    for one_differs in differs.values():
        changed |= one_differs
    what = F.when(there & ~here, "removed").when(here & ~there, "added").when(changed, "changed").otherwise("unchanged")
    compared = joined.select(
        *(F.coalesce(column("a", name), column("b", name)).alias(f"k{n}") for n, name in enumerate(key)),
        *(F.when(there & here, differs[name]).otherwise(False).alias(f"d{n}") for n, name in enumerate(rest)),
        what.alias("what"),
    )
    totals = [
        F.sum((F.col("what") == kind).cast("long")).alias(kind) for kind in ("added", "removed", "changed", "unchanged")
    ]
    totals += [F.sum(column(f"d{n}").cast("long")).alias(f"d{n}") for n in range(len(rest))]
    row = compared.agg(*totals).collect()[0]
    found = {kind: int(row[kind] or 0) for kind in ("added", "removed", "changed", "unchanged")}
    per_column = {name: int(row[f"d{n}"] or 0) for n, name in enumerate(rest)}
    repeated = sum(
        frame.groupBy(*map(identifier, key)).count().where("count > 1").limit(1).count() for frame in (before, after)
    )
    order = ["what", *(f"k{n}" for n in range(len(key)))]
    shown = compared.where("what <> 'unchanged'").orderBy(*order).limit(examples).collect() if examples else []
    listed = [{"what": one.what, **{name: one[f"k{n}"] for n, name in enumerate(key)}} for one in shown]
    return {**found, "columns_changed": {name: n for name, n in per_column.items() if n}, "repeated": repeated}, listed


def _comparable(frame: DataFrame, side: str, name: str) -> Any:
    """Return a column for comparison: a map as its sorted entries, as maps are not comparable."""
    from pyspark.sql import functions as F
    from pyspark.sql.types import MapType

    found = column(side, name)
    return F.sort_array(F.map_entries(found)) if isinstance(frame.schema[name].dataType, MapType) else found


def _by_row(
    before: DataFrame, after: DataFrame, key: tuple[str, ...], shared: list[str], examples: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    from pyspark.sql import functions as F

    names = [identifier(name) for name in shared]
    sides = [
        frame.select(F.to_json(F.struct(*names)).alias("row"), F.lit(n).alias("n"))
        for frame, n in ((before, -1), (after, 1))
    ]
    net = (
        sides[0]
        .unionByName(sides[1])
        .groupBy("row")
        .agg(F.sum("n").alias("net"), F.sum((F.col("n") < 0).cast("long")).alias("old"))
    )
    row = net.agg(
        F.sum(F.greatest("net", F.lit(0))).alias("added"),
        F.sum(F.greatest(-F.col("net"), F.lit(0))).alias("removed"),
        F.sum(F.col("old") - F.greatest(-F.col("net"), F.lit(0))).alias("unchanged"),
    ).collect()[0]
    counts = {name: int(row[name] or 0) for name in ("added", "removed", "unchanged")}
    return {**counts, "changed": 0, "columns_changed": {}}, []
