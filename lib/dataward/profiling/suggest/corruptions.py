"""What goes wrong with loads, done to a frame on purpose: which rules would notice?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from dataward.spark.sql import identifier

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["Corruption", "corruptions"]

SHARE = 0.1  # of the rows, where not all are hit
LEFT = 0.3  # of a load that breaks off
FACTOR = 100  # cents for euros
DAYS = 366
NUMBERS = ("int", "bigint", "float", "double", "decimal")
SEED = 7


@dataclass(frozen=True)
class Corruption:
    """What is done, and how; ``rows``: by what the number of rows is multiplied."""

    name: str
    done: Callable[[DataFrame], DataFrame]
    rows: float = 1.0


def corruptions(frame: DataFrame) -> Iterator[Corruption]:
    """Yield every corruption that the columns of a frame allow; names compare without case."""
    types = dict(frame.dtypes)
    yield Corruption("the load breaks off at 30 %", lambda rows: rows.sample(LEFT, SEED), LEFT)
    yield Corruption("a tenth of the rows comes twice", lambda rows: rows.unionAll(rows.sample(SHARE, SEED)), 1 + SHARE)
    for name, kind in types.items():
        cell = identifier(name)
        yield _one(f"a tenth of {name} is missing", name, f"if(rand({SEED}) < {SHARE}, null, {cell})")
        if kind.startswith(NUMBERS):
            yield _one(f"{name} in another unit (x {FACTOR})", name, f"cast({cell} * {FACTOR} as {kind})")
        elif kind in ("date", "timestamp"):
            yield _one(f"{name} is a year late", name, f"cast({cell} + interval {DAYS} days as {kind})")
    for one, other in pairwise(types):
        if types[one] == types[other]:
            yield Corruption(f"{one} and {other} are swapped", _swap(one, other))


def _one(name: str, column: str, sql: str) -> Corruption:
    from pyspark.sql import functions as F

    return Corruption(name, lambda rows: rows.withColumn(column, F.expr(sql)))


def _swap(one: str, other: str) -> Callable[[DataFrame], DataFrame]:
    def swapped(rows: DataFrame) -> DataFrame:
        return rows.withColumns({one: rows[identifier(other)], other: rows[identifier(one)]})

    return swapped
