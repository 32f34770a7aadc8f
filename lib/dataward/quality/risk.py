"""Disclosure risk of a table: how well its quasi-identifiers hide a person in a crowd.

Rows that agree in all quasi-identifiers form a class; NULL is a value like any other (a suppressed one).

- *k-anonymity* (Sweeney, *k-Anonymity: A Model for Protecting Privacy*, 2002): the size of the smallest class;
- *l-diversity* (Machanavajjhala et al., *l-Diversity: Privacy Beyond k-Anonymity*, 2007), distinct: the least number of different
  sensitive values in a class;
- *t-closeness* (Li, Li, Venkatasubramanian, *t-Closeness: Privacy Beyond k-Anonymity and l-Diversity*, 2007): the largest distance of a
  class's sensitive values from the table's;
- *k-map* (Sweeney, 2002): the least number of people in a population table with whom a row's class could be confused;
- *delta-presence* (Nergiz, Atzori, Clifton, *Hiding the Presence of Individuals from Shared Databases*, 2007): the largest
  chance that a person of the population stands in the table.

Everything is counted by Spark; the driver sees a number, or the size classes of :func:`distribution`. The distinct values of a
numeric sensitive column are broadcast, at most :data:`MOST_VALUES` of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.spark.compare import paired_columns
from dataward.spark.sql import column, identifier

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

__all__ = [
    "MOST_VALUES",
    "Crowd",
    "TooManyValues",
    "closeness",
    "distribution",
    "diversity",
    "k_map",
    "presence",
    "smallest",
]

MOST_VALUES = 1_000_000
BUCKETS = 64
BOUNDS = (1, 2, 3, 5, 10, 20, 50, 100, 1000)
NUMBERS = frozenset({"byte", "short", "integer", "long", "float", "double", "decimal"})


class TooManyValues(Exception):
    """A numeric sensitive column has more different values than can be broadcast."""


@dataclass(frozen=True)
class Crowd:
    """Classes of ``least`` to ``most`` rows (None: without end), and the rows in them."""

    least: int
    most: int | None
    classes: int
    rows: int


def _classes(frame: DataFrame, keys: Iterable[str]) -> DataFrame:
    """Count classes by keys (SQL), in columns with names that no source has: q0, q1, ... and ``count``."""
    from pyspark.sql import functions as F

    return frame.groupBy(*(F.expr(sql).alias(f"q{number}") for number, sql in enumerate(keys))).count()


def smallest(frame: DataFrame, columns: Sequence[str]) -> int | None:
    """Return k; None for an empty frame."""
    row = _classes(frame, map(identifier, columns)).selectExpr("min(count)").first()
    return row[0] if row else None


def distribution(frame: DataFrame, columns: Sequence[str]) -> tuple[Crowd, ...]:
    """Return how many classes of which size there are, in steps of :data:`BOUNDS`, without empty steps."""
    steps = " ".join(f"when count >= {least} then {least}" for least in reversed(BOUNDS))
    found = _classes(frame, map(identifier, columns)).groupBy("count").agg({"*": "count"}).toDF("count", "classes")
    rows = found.selectExpr(f"case {steps} end as least", "classes", "classes * count as rows")
    summed = rows.groupBy("least").sum("classes", "rows").orderBy("least").collect()
    ends = dict(zip(BOUNDS, [*(bound - 1 for bound in BOUNDS[1:]), None], strict=True))
    return tuple(Crowd(least, ends[least], classes, total) for least, classes, total in summed)


def diversity(frame: DataFrame, columns: Sequence[str], sensitive: str) -> int | None:
    """Return l; NULL counts as one value."""
    from pyspark.sql import functions as F

    value = column(sensitive)
    different = F.count_distinct(value) + F.max(value.isNull().cast("int"))
    keys = (column(name).alias(f"q{number}") for number, name in enumerate(columns))
    row = frame.groupBy(*keys).agg(different.alias("l")).selectExpr("min(l)").first()
    return row[0] if row else None


def closeness(frame: DataFrame, columns: Sequence[str], sensitive: str) -> float | None:
    """Return t by the earth mover's distance (section 5 of the paper): the ordered distance of numbers, the equal distance of others.

    NULL counts as one value, but is left out among numbers.

    Raises:
        TooManyValues: the numbers have more than :data:`MOST_VALUES` distinct values.
    """
    if frame.schema[_named(frame, sensitive)].dataType.typeName() in NUMBERS:
        return _ordered(frame.where(f"{identifier(sensitive)} is not null"), columns, sensitive)
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    keys = [column(name).alias(f"__q{number}") for number, name in enumerate(columns)]
    counted = frame.groupBy(*keys, column(sensitive).alias("__v")).count()
    names = [f"__q{number}" for number in range(len(columns))]
    value, crowd = Window.partitionBy("__v"), Window.partitionBy(*names)
    total = counted.selectExpr("sum(count)").first()
    if not total or not total[0]:
        return None
    shares = counted.select(
        *names,
        (F.col("count") / F.sum("count").over(crowd)).alias("q"),
        (F.sum("count").over(value) / F.lit(total[0])).alias("p"),
    )
    # Of a value that is not in the class |0 - p| = p, and all p add up to 1.
    distance = (F.sum(F.abs(F.col("q") - F.col("p")) - F.col("p")) + 1) / 2
    row = shares.groupBy(*names).agg(distance.alias("t")).selectExpr("max(t)").first()
    return max(float(row[0]), 0.0) if row and row[0] is not None else None


def _ordered(frame: DataFrame, columns: Sequence[str], sensitive: str) -> float | None:
    """Return, for m ordered values, the sum over i of |sum over j <= i of (q_j - p_j)| / (m - 1)."""
    from pyspark.sql import functions as F

    value = column(sensitive)
    overall: Any = frame.groupBy(value.alias("v")).count().orderBy("v").limit(MOST_VALUES + 1).toPandas()
    if len(overall) > MOST_VALUES:
        raise TooManyValues
    if len(overall) < 2:
        return 0.0 if len(overall) else None
    keys = [column(name) for name in columns]
    # One class is in one bucket; nulls count in the hash only by their place.
    where = F.pmod(F.xxhash64(*(part for key in keys for part in (key.isNull(), key))), F.lit(BUCKETS)).alias("bucket")
    name = F.to_json(F.struct(*keys), {"ignoreNullFields": "false"}).alias("class")
    counted = frame.groupBy(where, name, value.alias("v")).count()
    ranks = frame.sparkSession.createDataFrame(
        overall.assign(rank=range(len(overall)))[["v", "rank"]], counted.select("v").schema.add("rank", "long")
    )
    ranked = counted.join(F.broadcast(ranks), "v").select("bucket", "class", "rank", "count")
    row = (
        ranked.groupBy("bucket")
        .applyInPandas(_farthest(overall["count"].to_numpy()), "t double")
        .selectExpr("max(t)")
        .first()
    )
    return float(row[0]) if row and row[0] is not None else None


def _farthest(counts: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Return a function that computes the largest distance among the classes of a bucket (columns class, rank, count)."""

    def run(bucket: pd.DataFrame) -> pd.DataFrame:
        import numpy as np
        import pandas as pd

        below = np.cumsum(counts) / counts.sum()  # P_i, the table's share up to value i
        summed = np.concatenate([[0.0], np.cumsum(below)])
        ordered = bucket.sort_values(["class", "rank"])
        codes = ordered["class"].factorize()[0]
        ranks, sizes = ordered["rank"].to_numpy(), ordered["count"].to_numpy(float)
        first = np.append(True, codes[1:] != codes[:-1])
        last = np.append(first[1:], True)
        running = np.cumsum(sizes)
        before = (running - sizes)[first][codes]
        totals = np.bincount(codes, sizes)[codes]
        share = (running - before) / totals  # the class's share up to a value of its own, and on to its next
        until = np.where(last, len(counts), np.append(ranks[1:], 0))

        def area(level: Any, start: Any, end: Any) -> Any:
            """Sum of |level - P_i| for start <= i < end; P grows."""
            turn = np.clip(np.searchsorted(below, level, "right"), start, end)
            under = level * (turn - start) - (summed[turn] - summed[start])
            return under + (summed[end] - summed[turn]) - level * (end - turn)

        distances = area(share, ranks, until)
        distances[first] += summed[ranks[first]]  # before the first value of its own the class has no share
        return pd.DataFrame({"t": [np.bincount(codes, distances).max() / (len(counts) - 1)]})

    return run


def k_map(frame: DataFrame, columns: Sequence[str], population: DataFrame) -> int | None:
    """Return the least number of rows of the population in a class of the frame; 0 where the population lacks a class."""
    found: int | None = _met(frame, columns, population, "min(coalesce(others, 0))")
    return found


def presence(frame: DataFrame, columns: Sequence[str], population: DataFrame) -> float | None:
    """Return the largest share of a class of the population that is in the frame; 1 at most, also where the population lacks it."""
    found = _met(frame, columns, population, "max(least(count / coalesce(others, 1), 1d))")
    return None if found is None else float(found)


def _met(frame: DataFrame, columns: Sequence[str], population: DataFrame, asked: str) -> Any:

    pairs = paired_columns(frame, columns, population, columns)
    mine = _classes(frame, (here for here, _ in pairs)).alias("a")
    others = _classes(population, (there for _, there in pairs)).withColumnRenamed("count", "others").alias("b")
    same = [column("a", f"q{number}").eqNullSafe(column("b", f"q{number}")) for number in range(len(pairs))]
    row = mine.join(others, same, "left").selectExpr(asked).first()
    return row[0] if row else None


def _named(frame: DataFrame, name: str) -> str:
    """Return a column's own spelling, because Spark's schema distinguishes case."""
    return next(there for there in frame.columns if there.lower() == name.lower())
