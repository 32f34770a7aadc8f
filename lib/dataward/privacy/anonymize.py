"""Find the k-anonymous generalisation and suppression with the least loss.

All values of a column have the same level, and rows whose class stays smaller than k are suppressed (Samarati, *Protecting
Respondents' Identities in Microdata Release*, 2001).

Every combination of levels is a node. The loss of a column's level is the normalized certainty penalty of categories (Xu et al.,
*Utility-Based Anonymization Using Local Recoding*, 2006): (values merged with the row's value - 1) / (distinct values of the
column - 1), averaged over the rows; 0 for the unchanged column, 1 for a suppressed column. With L the mean over the columns and s
the share of suppressed rows, a node costs (1 - s) L + s. Nodes are evaluated by ascending L until L alone exceeds the least cost,
so that the result is the optimum.

The distinct combinations of quasi-identifiers are counted once; nodes are groupings of these, many in one Spark job.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.contract.protections import Generalize
from dataward.contract.reserved import INTERNAL
from dataward.errors import DataError, UsageError
from dataward.privacy.protect.generalize import GeneralizeOperator
from dataward.privacy.protect.operator import Rows, Unfit
from dataward.privacy.protect.spark import arrow_schema
from dataward.spark.arrow import spark_type
from dataward.spark.held import hold
from dataward.spark.sql import identifier
from dataward.spark.workers import mapped

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

__all__ = ["Chosen", "Ladder", "anonymized", "choose", "ladder"]

AT_ONCE = 32  # nodes of one job
MOST_LEVELS = 60  # of all columns together: Spark identifies grouping sets by 64 bits
STEPS = 6
SIZE = f"{INTERNAL}size"


@dataclass(frozen=True)
class Ladder:
    """Levels of a column from fine to coarse; level 0 is the unchanged column, the top level is NULL."""

    column: str
    levels: tuple[Generalize, ...]

    @property
    def top(self) -> int:
        """Number of the top level."""
        return len(self.levels) + 1

    def describe(self, level: int) -> str:
        """Describe a level."""
        if level == 0:
            return "as it is"
        if level == self.top:
            return "left out"
        parameters = self.levels[level - 1].model_dump(exclude_defaults=True)
        return ", ".join(f"{key} {value}" for key, value in parameters.items() if key != "op")


@dataclass(frozen=True)
class Chosen:
    """The cheapest node.

    Attributes:
        levels: level of each ladder.
        loss: cost of the node, 0 to 1.
        suppressed: number of suppressed rows.
        rows: number of rows.
        k_before: smallest class without generalisation.
        k_after: smallest class of the result.
        nodes: number of evaluated nodes.
    """

    levels: tuple[int, ...]
    loss: float
    suppressed: int
    rows: int
    k_before: int
    k_after: int
    nodes: int


def ladder(frame: DataFrame, column: str, given: tuple[Generalize, ...]) -> Ladder:
    """Return the levels that a contract names, or default levels for the column's type and range.

    Raises:
        UsageError: a level does not support the type.
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
    """Yield default levels."""
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
        if longest <= 12:  # codes; the prefix of a longer text is no category
            yield from (Generalize(prefix=length) for length in range(longest - 1, max(longest - 1 - STEPS, 0), -1))


def choose(frame: DataFrame, ladders: list[Ladder], k: int, most_suppressed: float) -> Chosen:
    """Return the cheapest node that suppresses at most a share of the rows (0 to 1).

    Raises:
        UsageError: there are too many levels.
        DataError: there are fewer rows than k.
    """
    if sum(steps.top for steps in ladders) > MOST_LEVELS:
        raise UsageError(f"quasi_identifiers have more than {MOST_LEVELS} levels together: name fewer in the contract")
    held = hold(_combinations(frame, ladders))
    combined = held.frame
    try:
        row = combined.selectExpr("sum(count)", "min(count)").first()
        rows = int(row[0]) if row and row[0] else 0
        if rows < k:
            raise DataError(f"there are {rows} rows: no class of {k} can be made of them")
        assert row is not None  # noqa: S101 - rows >= k > 0
        losses = [_losses(combined, number, steps) for number, steps in enumerate(ladders)]
        nodes = sorted(
            itertools.product(*(range(steps.top + 1) for steps in ladders)), key=lambda node: _mean(losses, node)
        )
        best: Chosen | None = None
        for number in range(0, len(nodes), AT_ONCE):
            batch = [
                node for node in nodes[number : number + AT_ONCE] if best is None or _mean(losses, node) < best.loss
            ]
            if not batch:
                break
            for node, (lost, smallest) in zip(batch, _classes(combined, ladders, batch, k), strict=True):
                share = lost / rows
                loss = (1 - share) * _mean(losses, node) + share
                if share <= most_suppressed and lost < rows and (best is None or loss < best.loss):
                    best = Chosen(node, loss, lost, rows, int(row[1]), smallest, number + len(batch))
        assert best is not None  # noqa: S101 - at the top levels all rows are one class
        return best
    finally:
        held.release()


def _mean(losses: list[list[float]], node: tuple[int, ...]) -> float:
    return math.fsum(loss[level] for loss, level in zip(losses, node, strict=True)) / len(node)


def _name(number: int, level: int) -> str:
    return f"q{number}_{level}"


def _combinations(frame: DataFrame, ladders: list[Ladder]) -> DataFrame:
    """Return the distinct combinations with their counts, and every level of each column as text."""
    from pyspark.sql import functions as F
    from pyspark.sql.types import LongType, StringType, StructField, StructType

    columns = (identifier(steps.column) for steps in ladders)
    counted = frame.groupBy(*columns).agg(F.count("*").alias("__count"))  # a column may be named count
    names = [_name(number, level) for number, steps in enumerate(ladders) for level in range(steps.top)]
    schema = StructType([*(StructField(name, StringType()) for name in names), StructField("count", LongType())])
    return mapped(counted, _levels(ladders), schema)


def _levels(ladders: list[Ladder]) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """Return a function for ``mapInArrow`` from values to their levels."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            columns, rows = {}, Rows(batch)
            for number, steps in enumerate(ladders):
                values = batch.column(number)
                columns[_name(number, 0)] = values.cast(pa.string())
                for level, parameters in enumerate(steps.levels, 1):
                    coarse, _ = GeneralizeOperator(parameters).apply(values, rows)
                    columns[_name(number, level)] = coarse.cast(pa.string())
            columns["count"] = batch.column(len(ladders)).cast(pa.int64())
            yield pa.RecordBatch.from_pydict(columns)

    return run


def _losses(combined: DataFrame, number: int, steps: Ladder) -> list[float]:
    """Return the loss of every level of a column."""
    from pyspark.sql import functions as F

    names = [_name(number, level) for level in range(steps.top)]
    values = combined.groupBy(*names).agg(F.sum("count").alias("count"))
    merged = [values.groupBy(name).agg(F.count("*").alias("members"), F.sum("count").alias("rows")).select(
        F.lit(level).alias("level"), "members", "rows") for level, name in enumerate(names)]  # fmt: skip
    all_levels = merged[0]
    for more in merged[1:]:
        all_levels = all_levels.unionAll(more)
    summed = (
        all_levels.groupBy("level")
        .agg(F.sum(F.expr("(members - 1) * rows")), F.sum("rows"), F.sum("members"))
        .collect()
    )
    by_level = {level: (weighted, rows, values) for level, weighted, rows, values in summed}
    distinct = by_level[0][2]
    inner = [
        by_level[level][0] / by_level[level][1] / (distinct - 1) if distinct > 1 else 0.0 for level in range(steps.top)
    ]
    return [*inner, 1.0]


def _classes(combined: DataFrame, ladders: list[Ladder], nodes: list[tuple[int, ...]], k: int) -> list[tuple[int, int]]:
    """Return for every node the rows in classes below k, and the smallest other class; runs one Spark job."""
    used = sorted({_name(n, level) for node in nodes for n, level in enumerate(node) if level < ladders[n].top})
    sets = [[_name(n, level) for n, level in enumerate(node) if level < ladders[n].top] for node in nodes]
    spark = combined.sparkSession
    combined.createOrReplaceTempView("__combinations")
    grouping = ", ".join(f"({', '.join(columns)})" for columns in sets)
    number = f"grouping_id({', '.join(used)})" if used else "0"
    of_set = f"group by {', '.join(used)} grouping sets ({grouping})" if used else ""
    query = (
        f"select node, sum(if(c < {k}, c, 0)), min(if(c < {k}, null, c)) from "  # noqa: S608 - generated names
        f"(select {number} as node, sum(count) as c from __combinations {of_set}) group by node"
    )
    by_id = {row[0]: (int(row[1]), int(row[2] or 0)) for row in spark.sql(query).collect()}
    # The id has one bit per column, from the highest, which is set where the column is not in the grouping set.
    bits = {name: 1 << (len(used) - 1 - place) for place, name in enumerate(used)}
    return [by_id[sum(bit for name, bit in bits.items() if name not in columns)] for columns in sets]


def anonymized(frame: DataFrame, ladders: list[Ladder], levels: tuple[int, ...], k: int) -> DataFrame:
    """Return the frame at a node, without the rows of classes below k."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F
    from pyspark.sql.types import StructField, StructType

    coarse = {
        steps.column: steps.levels[level - 1]
        for steps, level in zip(ladders, levels, strict=True)
        if 0 < level < steps.top
    }
    suppressed = [steps.column for steps, level in zip(ladders, levels, strict=True) if level == steps.top]
    fields = []
    for field, kind in zip(frame.schema.fields, arrow_schema(frame.schema), strict=True):
        made = (
            spark_type(GeneralizeOperator(coarse[field.name]).output(kind.type))
            if field.name in coarse
            else field.dataType
        )
        fields.append(StructField(field.name, made))
    result = mapped(frame, _coarser(coarse), StructType(fields)) if coarse else frame
    for name in suppressed:
        result = result.withColumn(name, F.lit(None).cast(result.schema[name].dataType))
    size = F.count(F.lit(1)).over(Window.partitionBy(*(identifier(steps.column) for steps in ladders)))
    return result.withColumn(SIZE, size).where(f"{SIZE} >= {k}").drop(SIZE)


def _coarser(coarse: dict[str, Generalize]) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """Return a function for ``mapInArrow`` that generalises columns."""

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
