"""Which rows go on and which are diverted, in the same pass that protects and writes them.

Only rules that some row is known to fail are evaluated here: the rest cannot divert anything.
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
    """The frame with a column of its own for each dotted path (``address.city``) into a struct."""

    there = {name.lower() for name in frame.columns}
    for name in dict.fromkeys(name for name in names if name.lower() not in there):
        head, *rest = name.split(".")
        if place := _place(frame.schema, name):
            frame = frame.withColumn(name, column(*place))
        elif rest and head.lower() in there:  # into a map, or through an array
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
    """(rows that no rule fails; rows that one does, with ``failed_rules``: array of rule texts, ``failed_columns``)."""
    from pyspark.sql import functions as F

    names = [identifier(name) for name in frame.columns]
    if not rules:
        nothing = F.lit(None).cast("array<string>")
        return frame, frame.limit(0).select(*names, nothing.alias(FAILED_RULES), nothing.alias(FAILED_COLUMNS))
    judged, rules = _ready(frame, rules)
    fails = f"({' or '.join(_fails(rule, now) for rule in rules)})"
    reasons = ", ".join(f"if({_fails(rule, now)}, {literal(rule.text)}, null)" for rule in rules)
    columns = ", ".join(f"if({_fails(rule, now)}, array({_texts(rule.offending)}), null)" for rule in rules)
    bad = judged.where(fails).select(
        *names,
        F.expr(f"array_compact(array({reasons}))").alias(FAILED_RULES),
        F.expr(f"array_distinct(flatten(array_compact(array({columns}))))").alias(FAILED_COLUMNS),
    )
    return judged.where(f"not {fails}").select(*names), bad


def failed_rows(frame: DataFrame, rules: Sequence[RowRule], now: datetime) -> int:
    """Exact number of rows that fail at least one rule: one job."""
    judged, rules = _ready(frame, rules)
    return judged.where(" or ".join(_fails(rule, now) for rule in rules)).count()


def _ready(frame: DataFrame, rules: Sequence[RowRule]) -> tuple[DataFrame, list[RowRule]]:
    """The frame with all that the rules look at, and the rules over its columns' types."""
    frame = with_paths(frame, (column for rule in rules for column in rule.columns))
    types = dict(frame.dtypes)
    typed = [cast(RowRule, rule.typed(types)) for rule in rules]
    return with_flags(frame, (flag for rule in rules for flag in rule.flags()), _NO_REFERENCES), typed


_NO_REFERENCES: Mapping[str, DataFrame] = {}  # no row rule looks at another table


def _fails(rule: RowRule, now: datetime) -> str:
    return f"not coalesce({rule.outcome(now)}, true)"


def _texts(names: Sequence[str]) -> str:
    return ", ".join(literal(name) for name in names) or "cast(null as string)"
