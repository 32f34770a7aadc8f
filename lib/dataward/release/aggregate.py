"""Exact aggregates by Spark: bound the rows of each unit, clamp values to integers, collect once.

A keyed hash of each row decides which rows of a unit are kept, independently of chance and of the order of tasks: a task that
is repeated keeps the same rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dataward.release.exact import Exact
from dataward.release.plan import Grid, Leaves, Measure, ReleasePlan
from dataward.spark.hmac import hmac
from dataward.spark.sql import column as named

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["bins_of", "exact_of", "pairs_of"]

HASH = 16
"""Bytes of the keyed hash that orders rows."""

FLOATS = ("float", "double")


def exact_of(frame: DataFrame, plan: ReleasePlan, secret: bytes) -> Exact:
    """Aggregate a table.

    Args:
        frame: the table's rows.
        plan: the plan.
        secret: key of the hash that chooses rows.
    """
    from pyspark.sql import functions as F

    keys = [f"k{number}" for number in range(len(plan.keys))]
    rows = _bounded(frame, plan, secret, keys)
    scalars = [one for one in plan.measures if not one.leaves and one.kind != "distinct"]
    width = max(1, len(scalars))
    names = [f"v{number}" for number in range(width)]
    parts = [_scalars(rows, plan, scalars, keys).select(*keys, F.lit(-1).alias("m"), F.lit(0).alias("leaf"), *names)]
    for number, one in enumerate(plan.measures):
        if one.leaves or one.kind == "distinct":
            counts = _leaves(rows, one, keys) if one.leaves else _distinct(rows, one, keys)
            empty = [F.lit(0).cast("bigint").alias(name) for name in names[1:]]
            parts.append(counts.select(*keys, F.lit(number).alias("m"), "leaf", F.col("n").alias("v0"), *empty))
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.unionByName(part)
    return _collected(whole.toPandas(), plan, scalars, keys)


def pairs_of(frame: DataFrame, plan: ReleasePlan, secret: bytes) -> Any:
    """Count every pair of binned columns of the bounded rows, in one pass and one collect.

    Values outside the domain, and nulls, are in a last bin of their own.

    Returns:
        A pandas frame: number of the pair (by :func:`itertools.combinations`), bins ``a`` and ``b``, rows ``n``. A single column
        is paired with itself.
    """
    from itertools import combinations_with_replacement

    from pyspark.sql import functions as F

    rows = _binned(frame, plan, secret)
    count = len(rows.columns)
    pairs = list(combinations_with_replacement(range(count), 2))
    entries = [
        F.struct(F.lit(n).alias("p"), named(f"b{a}").alias("a"), named(f"b{b}").alias("b"))
        for n, (a, b) in enumerate(pairs)
    ]
    exploded = rows.select(F.explode(F.array(*entries)).alias("e")).select("e.*")
    return exploded.groupBy("p", "a", "b").agg(F.count(F.lit(1)).alias("n")).toPandas()


def bins_of(frame: DataFrame, plan: ReleasePlan, secret: bytes, most: int) -> Any:
    """Return the bins of some bounded rows (rows x columns), in no order; only for readers of the table."""
    import numpy as np

    found: Any = _binned(frame, plan, secret).limit(most).toPandas()
    return found.to_numpy(np.int64)


def _binned(frame: DataFrame, plan: ReleasePlan, secret: bytes) -> DataFrame:
    """Return the bounded rows with the bin of each column (b0, ...)."""
    from pyspark.sql import functions as F

    rows = _bounded(frame, plan, secret, [])
    types = dict(rows.dtypes)
    bins = []
    for one in plan.measures:
        assert one.leaves is not None  # noqa: S101 - histograms alone are planned
        column, there = _present(one, types)
        bins.append(F.coalesce(F.when(there, _leaf(column, one.leaves)), F.lit(one.leaves.count)).cast("int"))
    return rows.select(*(column.alias(f"b{number}") for number, column in enumerate(bins)))


def _bounded(frame: DataFrame, plan: ReleasePlan, secret: bytes, keys: list[str]) -> DataFrame:
    """Return the counted rows: grouping columns as text (k0, ...), the unit (u) and the columns to read (c_NAME)."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    read = {one.column for one in plan.measures if one.column}
    rows = frame.select(
        *(named(name).cast("string").alias(key) for key, name in zip(keys, plan.keys, strict=True)),
        *([named(plan.unit).alias("u")] if plan.unit else ()),
        *(named(name).alias(f"c_{name}") for name in sorted(read)),
    )
    for key, name in zip(keys, plan.keys, strict=True):
        if name in plan.allowed:
            rows = rows.where(named(key).isin(list(plan.allowed[name])))
    if plan.unit is None:
        return rows
    rows = rows.where(F.col("u").isNotNull()).repartition("u")  # one shuffle for all windows below
    there = {name: named(f"c_{name}") for name in read}
    there |= {plan.unit: F.col("u"), **{name: named(key) for key, name in zip(keys, plan.keys, strict=True)}}
    rows = rows.withColumn("h", _hash([there[name] for name in plan.columns], secret))
    if keys and plan.query.groups < plan.query.rows:
        rows = rows.withColumn("g", _hash([F.col("u"), *map(named, keys)], secret))
        rows = rows.withColumn("g", F.dense_rank().over(Window.partitionBy("u").orderBy("g")))
        rows = rows.where(F.col("g") <= plan.query.groups).drop("g")
    # Number equal rows, so that they are not merged.
    rows = rows.withColumn("n", F.row_number().over(Window.partitionBy("u", "h").orderBy("h")))
    rows = rows.withColumn("h", F.sha2(F.concat_ws(":", F.col("h").cast("string"), "n"), 256)).drop("n")
    rows = rows.withColumn("h", F.row_number().over(Window.partitionBy("u").orderBy("h")))
    return rows.where(F.col("h") <= plan.query.rows).drop("h")


def _hash(columns: list[Column], secret: bytes) -> Column:
    """Return a keyed hash of some values with their lengths, so that only equal rows have the same text."""
    from pyspark.sql import functions as F

    parts = []
    for column in columns:
        text = column.cast("string")
        there = F.concat(F.lit("v"), F.length(text).cast("string"), F.lit(":"), text)
        parts.append(F.when(text.isNull(), F.lit("n")).otherwise(there))
    hashed: Column = hmac(F.concat(*parts).cast("binary"), secret, b"", HASH)
    return hashed


def _scalars(rows: DataFrame, plan: ReleasePlan, scalars: list[Measure], keys: list[str]) -> DataFrame:
    """Return a row per group with the measures v0, v1, ...; a first step without a shuffle counts units."""
    from pyspark.sql import functions as F

    types = dict(rows.dtypes)
    units = any(one.kind == "units" for one in scalars)
    first = [F.sum(_value(one, types)).alias(f"v{number}") for number, one in enumerate(scalars)]
    first = first or [F.lit(0).cast("bigint").alias("v0")]
    if units:
        rows = rows.groupBy("u", *keys).agg(*first)
        again: list[Column] = []
        for number, one in enumerate(scalars):
            column = F.lit(1) if one.kind == "units" else named(f"v{number}")
            again.append(F.sum(column).cast("bigint").alias(f"v{number}"))
        first = again
    grouped = rows.groupBy(*keys).agg(*first) if keys else rows.agg(*first)
    return grouped.fillna(0, [f"v{number}" for number in range(max(1, len(scalars)))])


def _value(one: Measure, types: dict[str, str]) -> Column:
    """Return the contribution of a row to a measure, as bigint."""
    from pyspark.sql import functions as F

    if one.kind in ("rows", "units"):
        return F.lit(1).cast("bigint")
    column, there = _present(one, types)
    if one.kind == "present":
        return F.when(there, 1).otherwise(0).cast("bigint")
    assert one.grid is not None  # noqa: S101 - sums have one
    return F.when(there, _quantised(column, one.grid)).otherwise(0).cast("bigint")


def _present(one: Measure, types: dict[str, str]) -> tuple[Column, Column]:
    from pyspark.sql import functions as F

    name = f"c_{one.column}"
    column = named(name)
    there = column.isNotNull()
    return column, there & ~F.isnan(column) if types[name] in FLOATS else there


def _quantised(column: Column, grid: Grid) -> Column:
    from pyspark.sql import functions as F

    value = F.least(F.greatest(column.cast("double"), F.lit(grid.low)), F.lit(grid.high))
    if grid.square:
        value = (value - F.lit(grid.middle)) * (value - F.lit(grid.middle))
    return F.floor((value - F.lit(grid.origin)) / F.lit(grid.step) + F.lit(0.5))


def _leaves(rows: DataFrame, one: Measure, keys: list[str]) -> DataFrame:
    from pyspark.sql import functions as F

    assert one.leaves is not None  # noqa: S101 - asked for measures with bins
    column, there = _present(one, dict(rows.dtypes))
    found = rows.where(there).withColumn("leaf", _leaf(column, one.leaves).cast("int")).where("leaf is not null")
    return found.groupBy(*keys, "leaf").agg(F.count(F.lit(1)).alias("n"))


def _leaf(column: Column, leaves: Leaves) -> Column:
    from pyspark.sql import functions as F

    if leaves.values:
        places = [part for number, text in enumerate(leaves.values) for part in (F.lit(text), F.lit(number))]
        # Not map[key]: the key is a column, which Spark Connect 3.5 does not take there.
        return F.element_at(F.create_map(*places), column.cast("string"))
    value = column.cast("double")
    if leaves.edges:
        inner: Column = F.lit(0)
        for edge in leaves.edges[1:-1]:
            inner = inner + F.when(value >= edge, 1).otherwise(0)
        return inner
    clamped = F.least(F.greatest(value, F.lit(leaves.low)), F.lit(leaves.high))
    return F.least(F.floor((clamped - F.lit(leaves.low)) / F.lit(leaves.width)), F.lit(leaves.count - 1))


def _distinct(rows: DataFrame, one: Measure, keys: list[str]) -> DataFrame:
    from pyspark.sql import functions as F

    column, there = _present(one, dict(rows.dtypes))
    counted = F.countDistinct(F.when(there, column.cast("string"))).alias("n")
    grouped = rows.groupBy(*keys).agg(counted) if keys else rows.agg(counted)
    return grouped.withColumn("leaf", F.lit(0))


def _collected(found: Any, plan: ReleasePlan, scalars: list[Measure], keys: list[str]) -> Exact:
    """Return collected rows as aggregates."""
    import numpy as np

    whole = found[found["m"] == -1]
    texts = [[None if value is None else str(value) for value in whole[key]] for key in keys]
    groups = tuple(zip(*texts, strict=True)) if keys else ((),)
    place = {group: number for number, group in enumerate(groups)}
    made = {one.name: whole[f"v{number}"].to_numpy(np.int64) for number, one in enumerate(scalars)}
    leaves = {}
    for number, one in enumerate(plan.measures):
        if not (one.leaves or one.kind == "distinct"):
            continue
        part = found[found["m"] == number]
        of = zip(*(part[key] for key in keys), strict=True) if keys else [()] * len(part)
        index = np.fromiter((place[tuple(group)] for group in of), np.int64, len(part))
        counts = part["v0"].to_numpy(np.int64)
        if one.leaves:
            leaves[one.name] = (index, part["leaf"].to_numpy(np.int64), counts)
        else:
            made[one.name] = np.zeros(len(groups), np.int64)
            made[one.name][index] = counts
    return Exact(groups, made, leaves)
