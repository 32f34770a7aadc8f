"""k-anonymity by generalisation and suppression, with the least loss (Samarati, *Protecting Respondents' Identities in
Microdata Release*, 2001): the same level for all values of a column, and the rows left out whose class stays too small.

Every combination of levels is a node. The loss of a column's level is the normalized certainty penalty of categories (Xu et al.,
*Utility-Based Anonymization Using Local Recoding*, 2006): of a value, (values it is merged with - 1) / (values of the column - 1), on
average over the rows; 0 of the column as it is, 1 of nothing left. With L the mean over the columns and s the share of rows left out, a
node costs (1 - s) L + s. Nodes are taken by ascending L until L alone exceeds the cheapest found: the result is the optimum.

The different combinations of quasi-identifiers are counted once; nodes are groupings of these, many in one Spark job.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.contract.protections import Generalize
from dataward.errors import DataError, UsageError
from dataward.privacy.protect.generalize import GeneralizeOperator
from dataward.privacy.protect.operator import Rows, Unfit
from dataward.privacy.protect.spark import arrow_schema
from dataward.reserved import INTERNAL
from dataward.sql import identifier
from dataward.workers import mapped

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

__all__ = ["Chosen", "Ladder", "anonymized", "choose", "ladder"]

AT_ONCE = 32  # nodes of one job
MOST_LEVELS = 60  # of all columns together: Spark numbers grouping sets by 64 bits
STEPS = 6
SIZE = f"{INTERNAL}size"


@dataclass(frozen=True)
class Ladder:
    """A column's levels from fine to coarse; before them the column as it is, after them nothing (NULL)."""

    column: str
    levels: tuple[Generalize, ...]

    @property
    def top(self) -> int:
        return len(self.levels) + 1

    def told(self, level: int) -> str:
        if level == 0:
            return "as it is"
        if level == self.top:
            return "left out"
        given = self.levels[level - 1].model_dump(exclude_defaults=True)
        return ", ".join(f"{key} {value}" for key, value in given.items() if key != "op")


@dataclass(frozen=True)
class Chosen:
    """The cheapest node: a level for each ladder, its ``loss`` (0 to 1), the rows it leaves out, the smallest class before and after."""

    levels: tuple[int, ...]
    loss: float
    suppressed: int
    rows: int
    k_before: int
    k_after: int
    nodes: int


def ladder(frame: DataFrame, column: str, given: tuple[Generalize, ...]) -> Ladder:
    """The levels that a contract names, or else some that fit the column's type and range.

    Raises:
        UsageError: a level does not go with the type.
    """
    field = arrow_schema(frame.select(identifier(column)).schema).field(0)
    levels = given or tuple(_usual(frame, column, field.type))
    for level in levels:
        try:
            GeneralizeOperator(level).output(field.type)
        except Unfit as error:
            raise UsageError(f"quasi_identifiers.{column}: {error.what}; {error.remedy}") from None
    return Ladder(column, levels)


def _usual(frame: DataFrame, column: str, kind: pa.DataType) -> Iterator[Generalize]:
    import pyarrow as pa

    name = identifier(column)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        row = frame.selectExpr(f"cast(max({name}) as double) - cast(min({name}) as double)").first()
        span = float(row[0]) if row and row[0] else 0.0
        widths = (digit * 10**power for power in range(-3, 13) for digit in (1, 2, 5))
        fitting = [
            width for width in widths if span / 64 <= width < span and (width > 1 or not pa.types.is_integer(kind))
        ]
        yield from (Generalize(width=width) for width in fitting[:STEPS])
    elif pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        parts: tuple[Any, ...] = ("month", "quarter", "year", "decade")
        yield from (Generalize(part=part) for part in parts)
    elif pa.types.is_string(kind):
        row = frame.selectExpr(f"max(length({name}))").first()
        longest = int(row[0]) if row and row[0] else 0
        if longest <= 12:  # codes; the beginning of a longer text says nothing
            yield from (Generalize(prefix=length) for length in range(longest - 1, max(longest - 1 - STEPS, 0), -1))


def choose(frame: DataFrame, ladders: list[Ladder], k: int, most_suppressed: float) -> Chosen:
    """The cheapest node that leaves out at most a share of the rows (0 to 1).

    Raises:
        UsageError: there are too many levels.
        DataError: there are fewer rows than k.
    """
    if sum(one.top for one in ladders) > MOST_LEVELS:
        raise UsageError(f"quasi_identifiers have more than {MOST_LEVELS} levels together: name fewer in the contract")
    combined = _combinations(frame, ladders).cache()
    try:
        row = combined.selectExpr("sum(count)", "min(count)").first()
        rows = int(row[0]) if row and row[0] else 0
        if rows < k:
            raise DataError(f"there are {rows} rows: no class of {k} can be made of them")
        assert row is not None  # noqa: S101 - it was looked at above
        losses = [_losses(combined, number, one) for number, one in enumerate(ladders)]
        nodes = sorted(
            itertools.product(*(range(one.top + 1) for one in ladders)), key=lambda node: _mean(losses, node)
        )
        best: Chosen | None = None
        for number in range(0, len(nodes), AT_ONCE):
            some = [
                node for node in nodes[number : number + AT_ONCE] if best is None or _mean(losses, node) < best.loss
            ]
            if not some:
                break
            for node, (lost, smallest) in zip(some, _classes(combined, ladders, some, k), strict=True):
                share = lost / rows
                loss = (1 - share) * _mean(losses, node) + share
                if share <= most_suppressed and lost < rows and (best is None or loss < best.loss):
                    best = Chosen(node, loss, lost, rows, int(row[1]), smallest, number + len(some))
        assert best is not None  # noqa: S101 - with nothing left of any column all rows are one class
        return best
    finally:
        combined.unpersist()


def _mean(losses: list[list[float]], node: tuple[int, ...]) -> float:
    return math.fsum(loss[level] for loss, level in zip(losses, node, strict=True)) / len(node)


def _name(number: int, level: int) -> str:
    return f"q{number}_{level}"


def _combinations(frame: DataFrame, ladders: list[Ladder]) -> DataFrame:
    """The different combinations with their counts, and beside each column its levels, as text."""
    from pyspark.sql import functions as F
    from pyspark.sql.types import LongType, StringType, StructField, StructType

    own = (identifier(one.column) for one in ladders)
    counted = frame.groupBy(*own).agg(F.count("*").alias("__count"))  # a column may be named count
    names = [_name(number, level) for number, one in enumerate(ladders) for level in range(one.top)]
    schema = StructType([*(StructField(name, StringType()) for name in names), StructField("count", LongType())])
    return mapped(counted, _levels(ladders), schema)


def _levels(ladders: list[Ladder]) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            made, rows = {}, Rows(batch)
            for number, one in enumerate(ladders):
                values = batch.column(number)
                made[_name(number, 0)] = values.cast(pa.string())
                for level, given in enumerate(one.levels, 1):
                    coarse, _ = GeneralizeOperator(given).apply(values, rows)
                    made[_name(number, level)] = coarse.cast(pa.string())
            made["count"] = batch.column(len(ladders)).cast(pa.int64())
            yield pa.RecordBatch.from_pydict(made)

    return run


def _losses(combined: DataFrame, number: int, one: Ladder) -> list[float]:
    """The loss of every level of a column."""
    from pyspark.sql import functions as F

    names = [_name(number, level) for level in range(one.top)]
    values = combined.groupBy(*names).agg(F.sum("count").alias("count"))
    merged = [values.groupBy(name).agg(F.count("*").alias("members"), F.sum("count").alias("rows")).select(
        F.lit(level).alias("level"), "members", "rows") for level, name in enumerate(names)]  # fmt: skip
    whole = merged[0]
    for more in merged[1:]:
        whole = whole.unionAll(more)
    summed = (
        whole.groupBy("level").agg(F.sum(F.expr("(members - 1) * rows")), F.sum("rows"), F.sum("members")).collect()
    )
    found = {level: (weighted, rows, values) for level, weighted, rows, values in summed}
    distinct = found[0][2]
    inner = [found[level][0] / found[level][1] / (distinct - 1) if distinct > 1 else 0.0 for level in range(one.top)]
    return [*inner, 1.0]


def _classes(combined: DataFrame, ladders: list[Ladder], nodes: list[tuple[int, ...]], k: int) -> list[tuple[int, int]]:
    """Of every node the rows in classes below k, and the smallest class of those that are not; one job."""
    used = sorted({_name(n, level) for node in nodes for n, level in enumerate(node) if level < ladders[n].top})
    sets = [[_name(n, level) for n, level in enumerate(node) if level < ladders[n].top] for node in nodes]
    spark = combined.sparkSession
    combined.createOrReplaceTempView("__combinations")
    grouping = ", ".join(f"({', '.join(columns)})" for columns in sets)
    number = f"grouping_id({', '.join(used)})" if used else "0"
    of_set = f"group by {', '.join(used)} grouping sets ({grouping})" if used else ""
    query = (
        f"select node, sum(if(c < {k}, c, 0)), min(if(c < {k}, null, c)) from "  # noqa: S608 - names of our own making
        f"(select {number} as node, sum(count) as c from __combinations {of_set}) group by node"
    )
    found = {row[0]: (int(row[1]), int(row[2] or 0)) for row in spark.sql(query).collect()}
    # The id has a bit for each column, the first one highest, set where the column is not in the set.
    bits = {name: 1 << (len(used) - 1 - place) for place, name in enumerate(used)}
    return [found[sum(bit for name, bit in bits.items() if name not in columns)] for columns in sets]


def anonymized(frame: DataFrame, ladders: list[Ladder], levels: tuple[int, ...], k: int) -> DataFrame:
    """The frame at a node, without the rows of classes below k."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F
    from pyspark.sql.pandas.types import from_arrow_type
    from pyspark.sql.types import StructField, StructType

    coarse = {
        one.column: one.levels[level - 1] for one, level in zip(ladders, levels, strict=True) if 0 < level < one.top
    }
    gone = [one.column for one, level in zip(ladders, levels, strict=True) if level == one.top]
    fields = []
    for field, kind in zip(frame.schema.fields, arrow_schema(frame.schema), strict=True):
        made = GeneralizeOperator(coarse[field.name]).output(kind.type) if field.name in coarse else kind.type
        spark_kind = from_arrow_type(made, prefer_timestamp_ntz=True) if field.name in coarse else field.dataType
        fields.append(StructField(field.name, spark_kind))
    ready = mapped(frame, _coarser(coarse), StructType(fields)) if coarse else frame
    for name in gone:
        ready = ready.withColumn(name, F.lit(None).cast(ready.schema[name].dataType))
    size = F.count(F.lit(1)).over(Window.partitionBy(*(identifier(one.column) for one in ladders)))
    return ready.withColumn(SIZE, size).where(f"{SIZE} >= {k}").drop(SIZE)


def _coarser(coarse: dict[str, Generalize]) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            rows = Rows(batch)
            columns = {
                name: GeneralizeOperator(coarse[name]).apply(values, rows)[0] if name in coarse else values
                for name, values in zip(batch.schema.names, batch.columns, strict=True)
            }
            yield pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))

    return run
