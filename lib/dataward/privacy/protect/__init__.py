"""Protect a frame: every column by its operator, in one JVM stage, keys in no plan.

Operators live one per file; each is a function ``(parameters, Field) -> Column | None`` (None: the column goes). The
operator's parameters are a model in ``dataward.contract``. NULL stays NULL under every operator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.contract import Column as ColumnLine
from dataward.contract import Contract
from dataward.privacy.keys import KeyProvider
from dataward.privacy.protect import drop, keep, mask, redact, token
from dataward.privacy.protect.field import Field
from dataward.sql import identifier

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


ONE_SPELLING = frozenset({"string", "byte", "short", "integer", "long", "date", "decimal"})
"""Types of which equal values have one text (0.0 and -0.0 are equal and have two)."""

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
    spark: SparkSession, contract: Contract, keys: KeyProvider, frame: DataFrame, few: Iterable[str] = ()
) -> tuple[Callable[[DataFrame], DataFrame], tuple[Protected, ...]]:
    """A function that protects frames with this frame's columns (others pass through), and what it does to each.

    Of the columns that are said to hold ``few`` values each value is tokenized once, and the tokens are joined to the
    rows.
    """
    lines = {name: contract.column(name) for name in frame.columns}
    domains = sorted({contract.domain(line) for line in lines.values() if line.protect.op == "token"})
    version = keys.current
    blocks = token.key_blocks(spark, {domain: keys.key("token", domain, version) for domain in domains})
    kinds = {field.name: field.dataType.typeName() for field in frame.schema.fields}
    few = [name for name in few if lines[name].protect.op == "token" and kinds[name] in ONE_SPELLING]

    def made(name: str) -> Any:
        line = lines[name]
        return OPERATORS[line.protect.op](line.protect, Field(column(name), contract.domain(line), version))

    def column(name: str) -> Any:
        from pyspark.sql import functions as F

        return F.col(identifier(name))

    def keyed(bare: DataFrame) -> DataFrame:
        from pyspark.sql import functions as F

        return bare.crossJoin(F.broadcast(blocks)) if blocks is not None else bare

    tokens = [
        keyed(frame.select(column(name)).distinct()).select(column(name).alias(f"__value_{n}"), made(name).alias(f"__token_{n}"))
        for n, name in enumerate(few)
    ]  # fmt: skip

    def apply(given: DataFrame) -> DataFrame:
        from pyspark.sql import functions as F

        every = [name for name in given.columns if name in lines and lines[name].protect.op == "token"]
        ready = given if set(every) <= set(few) else keyed(given)
        for n, name in enumerate(few):
            ready = ready.join(F.broadcast(tokens[n]), column(name) == F.col(f"__value_{n}"), "left")
        out = []
        for name in given.columns:
            if name not in lines:
                out.append(column(name))
            elif name in few:
                out.append(F.col(f"__token_{few.index(name)}").alias(name))
            elif (protected := made(name)) is not None:
                out.append(protected.alias(name))
        return ready.select(*out)

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
