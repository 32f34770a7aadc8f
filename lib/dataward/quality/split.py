"""Split a frame into rows that pass and rows for the quarantine, in the pass that protects and writes them.

Only rules that some row fails are evaluated here, because the other rules divert no row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from dataward.contract.reserved import FAILED_COLUMNS, FAILED_RULES
from dataward.quality.flags import with_flags
from dataward.quality.rules import RowRule
from dataward.spark.sql import column, identifier, literal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["failed_rows", "split", "with_paths"]


def with_paths(frame: DataFrame, names: Iterable[str]) -> DataFrame:
    """Add a column for each dotted path (``address.city``) into a struct."""
    present = {name.lower() for name in frame.columns}
    for name in dict.fromkeys(name for name in names if name.lower() not in present):
        head, *rest = name.split(".")
        if place := _place(frame.schema, name):
            frame = frame.withColumn(name, column(*place))
        elif rest and head.lower() in present:  # into a map, or through an array
            frame = frame.withColumn(name, column(head, *rest))
    return frame


def _place(kind: Any, path: str) -> tuple[str, ...]:
    """Return the fields of structs that a dotted path goes through, whose own names may hold dots; empty where there is none."""
    for field in getattr(kind, "fields", ()):
        start = f"{field.name.lower()}."
        if path.lower() == field.name.lower():
            return (field.name,)
        if path.lower().startswith(start) and (inner := _place(field.dataType, path[len(start) :])):
            return (field.name, *inner)
    return ()


def split(frame: DataFrame, rules: Sequence[RowRule], now: datetime) -> tuple[DataFrame, DataFrame]:
    """Return (rows that fail no rule; rows that fail one, with arrays ``failed_rules`` of rule texts and ``failed_columns``)."""
    from pyspark.sql import functions as F

    names = [identifier(name) for name in frame.columns]
    if not rules:
        empty = F.lit(None).cast("array<string>")
        return frame, frame.limit(0).select(*names, empty.alias(FAILED_RULES), empty.alias(FAILED_COLUMNS))
    prepared, rules = _ready(frame, rules)
    fails = f"({' or '.join(_fails(rule, now) for rule in rules)})"
    reasons = ", ".join(f"if({_fails(rule, now)}, {literal(rule.text)}, null)" for rule in rules)
    columns = ", ".join(f"if({_fails(rule, now)}, array({_texts(rule.offending)}), null)" for rule in rules)
    failed = prepared.where(fails).select(
        *names,
        F.expr(f"array_compact(array({reasons}))").alias(FAILED_RULES),
        F.expr(f"array_distinct(flatten(array_compact(array({columns}))))").alias(FAILED_COLUMNS),
    )
    return prepared.where(f"not {fails}").select(*names), failed


def failed_rows(frame: DataFrame, rules: Sequence[RowRule], now: datetime) -> int:
    """Count the rows that fail at least one rule; runs one Spark job."""
    prepared, rules = _ready(frame, rules)
    return int(prepared.where(" or ".join(_fails(rule, now) for rule in rules)).count())


def _ready(frame: DataFrame, rules: Sequence[RowRule]) -> tuple[DataFrame, list[RowRule]]:
    """Return the frame with all columns that the rules read, and the rules with the types of its columns."""
    frame = with_paths(frame, (column for rule in rules for column in rule.columns))
    types = dict(frame.dtypes)
    typed = [cast(RowRule, rule.typed(types)) for rule in rules]
    return with_flags(frame, (flag for rule in rules for flag in rule.flags()), _NO_REFERENCES), typed


_NO_REFERENCES: Mapping[str, DataFrame] = {}  # row rules read no other table


def _fails(rule: RowRule, now: datetime) -> str:
    return f"not coalesce({rule.outcome(now)}, true)"


def _texts(names: Sequence[str]) -> str:
    return ", ".join(literal(name) for name in names) or "cast(null as string)"
