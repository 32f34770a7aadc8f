"""The join contract: which columns of other tables must join with a table's own, and which must not."""

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
    """What the tokens themselves say: of ``values`` different ones, a share found in the other table's column."""

    column: str
    other: str
    wanted: str
    values: int | None = None
    share: float | None = None
    holds: bool = True
    message: str = ""


def mismatch(join: Join, mine: Contract, other: Contract) -> tuple[str, str] | None:
    """Why two columns cannot join though they must, or would join though they must not: (what, remedy)."""
    one, two = mine.line(join.column), other.line(join.its_column)
    apart = _apart(one, two, mine, other)
    if join.never:
        if apart is None:
            what = f"'{join.column}' would join '{join.its_column}' of {other.contract}, which it must not: they share operator and key"
            return what, "give one of them a 'domain' of its own"
        return None
    return apart


def _apart(one: Column, two: Column, mine: Contract, other: Contract) -> tuple[str, str] | None:
    """Why equal values of two columns do not become equal; None when they do."""
    for name, line in ((mine.contract, one), (other.contract, two)):
        if not line.protect.injective:
            return (
                f"{line.protect.op} in {name} does not keep equal values equal and others apart",
                f"use {', '.join(having('injective'))}",
            )
    if one.protect.op != two.protect.op:
        return (
            f"{one.protect.op} here and {two.protect.op} in {other.contract} do not join",
            "use one operator for both",
        )
    left_out = {"invalid", "reason"}
    if one.protect.model_dump(exclude=left_out) != two.protect.model_dump(exclude=left_out):
        return f"{one.protect.op} has other parameters in {other.contract}", "use the same parameters for both"
    if one.protect.op == "keep":
        return None
    if one.protect.op == "token" and one.class_ != two.class_:
        return (
            f"class {one.class_} here and {two.class_} in {other.contract}: they have other canonical spellings",
            "give both one class",
        )
    domains = mine.domain(one), other.domain(two)
    if domains[0] != domains[1]:
        return f"key domains differ: {domains[0]} here, {domains[1]} in {other.contract}", "give both one 'domain'"
    if mine.keys.path != other.keys.path:
        return f"keyrings differ: {mine.keys.path} here, {other.keys.path} in {other.contract}", "use one keyring"
    return None


def joined(spark: SparkSession, frame: DataFrame, join: Join, other: Contract) -> Joined:
    """Join the different values of a protected column with those that the other table really holds; two passes."""
    from pyspark.sql import functions as F

    place = f"{other.contract}.{join.its_column}"
    wanted = "never" if join.never else f"share >= {join.share}"
    if not delta.exists(spark, other.target):
        return Joined(join.column, place, wanted, message=f"{other.target} is not published yet: not checked")
    theirs = delta.read(spark, other.target, delta.latest_version(spark, other.target))
    try:
        ((mine, its),) = paired_columns(frame, [join.column], theirs, [join.its_column])
    except Incomparable as error:
        return Joined(join.column, place, wanted, holds=join.never, message=f"{error.what}: {error.remedy}")
    values = frame.where(column(join.column).isNotNull()).select(F.expr(mine).alias("value")).distinct()
    known = theirs.select(F.expr(its).alias("value"), F.lit(1).alias("there")).distinct()
    row = values.join(known, "value", "left").agg(F.count("*").alias("values"), F.count("there").alias("found")).first()
    count, found = (row["values"], row["found"]) if row else (0, 0)
    share = found / count if count else None
    holds = not found if join.never else share is None or share >= (join.share or 0)
    return Joined(join.column, place, wanted, count, share, holds)
