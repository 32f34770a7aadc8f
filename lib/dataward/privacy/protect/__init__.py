"""Protect a frame: every column by its operator, in one JVM stage, keys in no plan.

Operators live one per file; each is a function ``(parameters, Field) -> Column | None`` (None: the column goes). The
operator's parameters are a model in ``dataward.contract``. NULL stays NULL under every operator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.contract import Column as ColumnLine
from dataward.contract import Contract
from dataward.privacy.keys import KeyProvider
from dataward.privacy.protect import drop, keep, mask, redact, token
from dataward.privacy.protect.field import Field

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["OPERATORS", "Protected", "protect", "statistics_columns"]

OPERATORS: dict[str, Callable[[Any, Field], Any]] = {
    "drop": drop.apply,
    "keep": keep.apply,
    "mask": mask.apply,
    "redact": redact.apply,
    "token": token.apply,
}


WITHOUT_STATISTICS = frozenset({"array", "map", "struct", "boolean", "binary", "void"})


@dataclass(frozen=True)
class Protected:
    """What was done to one column, for reports and seals: operator, its parameters, class, key domain and version."""

    column: str
    class_: str | None
    protection: str
    domain: str | None = None
    key_version: int | None = None


def protect(
    spark: SparkSession, contract: Contract, keys: KeyProvider, columns: list[str]
) -> tuple[Callable[[DataFrame], DataFrame], tuple[Protected, ...]]:
    """A function that protects a frame with these columns (others pass through), and what it does to each."""
    lines = {name: contract.column(name) for name in columns}
    domains = sorted({contract.domain(line) for line in lines.values() if line.protect.op == "token"})
    version = keys.current
    blocks = token.key_blocks(spark, {domain: keys.key("token", domain, version) for domain in domains})

    def apply(frame: DataFrame) -> DataFrame:
        from pyspark.sql import functions as F

        out = []
        for name in frame.columns:
            line = lines.get(name)
            if line is None:
                out.append(F.col(_quoted(name)))
                continue
            made = OPERATORS[line.protect.op](line.protect, Field(F.col(_quoted(name)), contract.domain(line), version))
            if made is not None:
                out.append(made.alias(name))
        joined = frame.crossJoin(F.broadcast(blocks)) if blocks is not None else frame
        return joined.select(*out)

    return apply, tuple(_described(name, line, contract, version) for name, line in lines.items())


def _described(name: str, line: ColumnLine, contract: Contract, version: int) -> Protected:
    parameters = line.protect.model_dump(exclude={"op"}, exclude_defaults=True, by_alias=True)
    told = ", ".join([line.protect.op, *(f"{name} {value!r}" for name, value in parameters.items())])
    if line.protect.op != "token":
        return Protected(name, line.class_, told)
    return Protected(name, line.class_, told, contract.domain(line), version)


def statistics_columns(contract: Contract, frame: DataFrame) -> list[str]:
    """The columns of a protected frame whose minima and maxima Delta may keep in its log: none that is sensitive.

    Delta keeps none of nested, boolean and binary columns, and of partition columns it keeps the values themselves.
    """
    plain = [field.name for field in frame.schema.fields if field.dataType.typeName() not in WITHOUT_STATISTICS]
    partitions = {name.lower() for name in contract.target.partition_by}
    return [name for name in plain if not contract.column(name).sensitive and name.lower() not in partitions]


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
