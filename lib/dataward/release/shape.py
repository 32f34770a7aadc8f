"""The table of answers: a row per group, a column per answer, and its interval beside it."""

from __future__ import annotations

from typing import Any

from dataward.release.answers import Drawn
from dataward.release.plan import ReleasePlan
from dataward.spark.sql import identifier

__all__ = ["schema_of", "table_of"]

TYPES = {
    "count": "bigint",
    "count_distinct": "bigint",
    "quantiles": "array<double>",
    "histogram": "array<bigint>",
}


def _fields(plan: ReleasePlan) -> dict[str, str]:
    fields = dict.fromkeys(plan.keys, "string")
    for answer in plan.query.answers:
        kind = TYPES.get(answer.kind, "double")
        fields |= {answer.label: kind, f"{answer.label}_low": kind, f"{answer.label}_high": kind}
    return fields


def schema_of(plan: ReleasePlan) -> str:
    """Return the schema as DDL, with keys as text."""
    return ", ".join(f"{identifier(name)} {kind}" for name, kind in _fields(plan).items())


def table_of(plan: ReleasePlan, answer: Drawn) -> Any:
    """Return a drawn answer as ``pyarrow.Table``."""
    import pyarrow as pa

    kinds = {"string": pa.string(), "bigint": pa.int64(), "double": pa.float64()}
    kinds |= {"array<double>": pa.list_(pa.float64()), "array<bigint>": pa.list_(pa.int64())}
    columns: dict[str, Any] = {key: [group[number] for group in answer.groups] for number, key in enumerate(plan.keys)}
    for name, parts in answer.columns.items():
        columns |= dict(zip((name, f"{name}_low", f"{name}_high"), (part.tolist() for part in parts), strict=True))
    fields = _fields(plan)
    arrays = [pa.array(columns[name], kinds[kind]) for name, kind in fields.items()]
    return pa.table(arrays, names=list(fields))
