"""Which rows go on and which are diverted, in the same pass that protects and writes them.

Only rules that some row is known to fail are evaluated here: the rest cannot divert anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from dataward.quality.conditions import quoted
from dataward.quality.metrics import identifier
from dataward.quality.rules import Key, RowRule, duplicate_flag

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["FAILED_RULES", "failed_rows", "split", "with_flags"]

FAILED_RULES = "failed_rules"


def split(frame: DataFrame, rules: Sequence[RowRule], now: datetime) -> tuple[DataFrame, DataFrame]:
    """(rows that pass every rule, rows that fail one with ``failed_rules``: array of rule texts)."""
    from pyspark.sql import functions as F

    if not rules:
        return frame, frame.limit(0).withColumn(FAILED_RULES, F.lit(None).cast("array<string>"))
    reasons = [f"if({rule.row_predicate(now)}, null, {quoted(rule.text)})" for rule in rules]
    judged = with_flags(frame, rules)
    good = judged.where(F.expr(_all_hold(rules, now))).select(*map(identifier, frame.columns))
    bad = judged.where(F.expr(f"not {_all_hold(rules, now)}")).withColumn(
        FAILED_RULES, F.expr(f"array_compact(array({', '.join(reasons)}))")
    )
    return good, bad.select(*map(identifier, frame.columns), FAILED_RULES)


def failed_rows(frame: DataFrame, rules: Sequence[RowRule], now: datetime) -> int:
    """Exact number of rows that fail at least one rule: one job."""
    return with_flags(frame, rules).where(f"not {_all_hold(rules, now)}").count()


def _all_hold(rules: Sequence[RowRule], now: datetime) -> str:
    return "(" + " and ".join(rule.row_predicate(now) for rule in rules) + ")"


def with_flags(frame: DataFrame, rules: Sequence[RowRule]) -> DataFrame:
    """The frame with one boolean column per key of the rules: true where the key occurs more than once."""
    for key in dict.fromkeys(key for rule in rules for key in rule.unique_keys()):
        frame = _flagged(frame, key)
    return frame


def _flagged(frame: DataFrame, key: Key) -> DataFrame:
    from pyspark.sql import functions as F

    flag = duplicate_flag(key)
    names = {column: f"{flag}_{number}" for number, column in enumerate(key.columns)}
    source = frame.where(key.where) if key.where else frame
    doubles = (
        source.groupBy(*[F.col(identifier(column)).alias(name) for column, name in names.items()])
        .count()
        .where("count > 1")
        .select(*names.values(), F.lit(True).alias(f"{flag}_hit"))
    )
    match = " and ".join(f"{identifier(column)} <=> {name}" for column, name in names.items())
    joined = frame.join(doubles, F.expr(f"{match} and {key.where}" if key.where else match), "left")
    return joined.withColumn(flag, F.expr(f"coalesce({flag}_hit, false)")).drop(*names.values(), f"{flag}_hit")
