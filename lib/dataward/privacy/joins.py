"""Check join contracts: columns of other tables that must join with a table's own, or must not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataward.contract import Column, Contract, Join
from dataward.contract.protections import having
from dataward.spark.compare import Incomparable, paired_columns
from dataward.spark.sql import column
from dataward.tables import delta

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Joined", "joined", "mismatch"]


@dataclass(frozen=True)
class Joined:
    """Result of a join: the share of ``values`` distinct values that the other table's column holds.

    Attributes:
        column: the protected column.
        other: contract and column of the other table.
        wanted: the required share, or "never".
        values: number of distinct values; None: not checked.
        share: share of them in the other column, 0 to 1; None: not checked, or no values.
        holds: whether the requirement is met.
        message: why it was not checked.
    """

    column: str
    other: str
    wanted: str
    values: int | None = None
    share: float | None = None
    holds: bool = True
    message: str = ""


def mismatch(join: Join, mine: Contract, other: Contract) -> tuple[str, str] | None:
    """Return (what, remedy) where two columns cannot join but must, or can join but must not; None where they conform."""
    own, foreign = mine.line(join.column), other.line(join.its_column)
    difference = _difference(own, foreign, mine, other)
    if join.never:
        if difference is None:
            what = f"'{join.column}' would join '{join.its_column}' of {other.contract}, which it must not: they share operator and key"
            return what, "give one of them a 'domain' of its own"
        return None
    return difference


def _difference(own: Column, foreign: Column, mine: Contract, other: Contract) -> tuple[str, str] | None:
    """Return (what, remedy) where equal values of two columns have different results; None where these are equal."""
    for name, line in ((mine.contract, own), (other.contract, foreign)):
        if not line.protect.injective:
            return (
                f"{line.protect.op} in {name} does not keep equal values equal and others apart",
                f"use {', '.join(having('injective'))}",
            )
    if own.protect.op != foreign.protect.op:
        return (
            f"{own.protect.op} here and {foreign.protect.op} in {other.contract} do not join",
            "use one operator for both",
        )
    left_out = {"invalid", "reason"}
    if own.protect.model_dump(exclude=left_out) != foreign.protect.model_dump(exclude=left_out):
        return f"{own.protect.op} has other parameters in {other.contract}", "use the same parameters for both"
    if own.protect.keeps:
        return None
    if own.protect.by_class and own.class_ != foreign.class_:
        return (
            f"class {own.class_} here and {foreign.class_} in {other.contract}: they have other canonical spellings",
            "give both one class",
        )
    domains = mine.domain(own), other.domain(foreign)
    if domains[0] != domains[1]:
        return f"key domains differ: {domains[0]} here, {domains[1]} in {other.contract}", "give both one 'domain'"
    if mine.keys.path != other.keys.path:
        return f"keyrings differ: {mine.keys.path} here, {other.keys.path} in {other.contract}", "use one keyring"
    return None


def joined(spark: SparkSession, frame: DataFrame, join: Join, other: Contract) -> Joined:
    """Join the distinct values of a protected column with those of the other table; two passes."""
    from pyspark.sql import functions as F

    place = f"{other.contract}.{join.its_column}"
    wanted = "never" if join.never else f"share >= {join.share}"
    if not delta.exists(spark, other.target):
        return Joined(join.column, place, wanted, message=f"{other.target} is not published yet: not checked")
    theirs = delta.read(spark, other.target, delta.latest_version(spark, other.target))
    try:
        ((own, foreign),) = paired_columns(frame, [join.column], theirs, [join.its_column])
    except Incomparable as error:
        return Joined(join.column, place, wanted, holds=join.never, message=f"{error.what}: {error.remedy}")
    values = frame.where(column(join.column).isNotNull()).select(F.expr(own).alias("value")).distinct()
    known = theirs.select(F.expr(foreign).alias("value"), F.lit(1).alias("there")).distinct()
    row = values.join(known, "value", "left").agg(F.count("*").alias("values"), F.count("there").alias("found")).first()
    count, matched = (row["values"], row["found"]) if row else (0, 0)
    share = matched / count if count else None
    holds = not matched if join.never else share is None or share >= (join.share or 0)
    return Joined(join.column, place, wanted, count, share, holds)
