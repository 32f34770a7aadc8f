"""From one key version to the next: reversible values by opening and protecting them again, tokens by a map from the source.

A value is under the outgoing version where it says so (``v1.``), or, where it cannot say it (``fpe``), where the column
beside it (``card__v1``) is empty; without such a column the log tells for all of them. What is already under the new version
is left alone, so that a step may be taken twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.contract import Contract
from dataward.privacy.keys import KeyProvider
from dataward.privacy.protect import OPERATORS, protect_in_window, shadows
from dataward.privacy.protect.fpe import FpeOperator
from dataward.privacy.protect.operator import Key, Operator, Rows
from dataward.reserved import INTERNAL, shadow_of
from dataward.sql import column, identifier
from dataward.workers import mapped

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame, SparkSession

__all__ = ["OPENED", "Step", "without_shadows"]

OPENED = ("encrypt", "encrypt_random", "fpe")
"""What is opened and protected again."""

OLD, NEW = f"{INTERNAL}old", f"{INTERNAL}new"

SAYS = ("token", "encrypt", "encrypt_random")
"""What carries its key version."""


@dataclass(frozen=True)
class Step:
    """The columns of one table that a domain's key protects, on the way from version ``old`` to ``new``."""

    contract: Contract
    keys: KeyProvider
    domain: str
    old: int
    new: int
    live: Mapping[str, set[int]]
    """By column, the versions by which its values may be made, as Delta's log tells it."""

    def columns(self, frame: DataFrame) -> dict[str, str]:
        """Whole columns that can be brought to the new version, by name: their operator."""
        found: dict[str, str] = {}
        for field in frame.schema.fields:
            line = self.contract.column(field.name)
            plain = field.dataType.typeName() not in ("array", "map", "struct")
            movable = line.protect.op in (*OPENED, "token") and not _beside(self.contract, field.name, frame.columns)
            if plain and movable and self.contract.domain(line) == self.domain:
                found[field.name] = line.protect.op
        return found

    def shadows(self, frame: DataFrame) -> dict[str, str]:
        return shadows(self.contract, self.keys, self.columns(frame))

    def old_rows(self, frame: DataFrame, name: str) -> Column:
        """Whether a row's value is under the outgoing version."""
        from pyspark.sql import functions as F

        value, beside = column(name), shadow_of(name, self.old)
        if self.contract.column(name).protect.op in SAYS:
            return F.coalesce(value.startswith(f"v{self.old}."), F.lit(False))
        untold = F.lit(self.old in self.live.get(name, ()))
        empty = column(beside).isNull() if beside in frame.columns else untold
        return value.isNotNull() & empty

    def carried(self, frame: DataFrame) -> dict[str, int]:
        """By column, how many rows are under the outgoing version; one pass."""
        from pyspark.sql import functions as F

        names = list(self.columns(frame))
        if not names:
            return {}
        counts = frame.agg(
            *(F.coalesce(F.sum(self.old_rows(frame, name).cast("long")), F.lit(0)) for name in names)
        ).first()
        return {name: count for name, count in zip(names, counts or (), strict=True) if count}

    def moved(self, spark: SparkSession, frame: DataFrame, source: DataFrame | None) -> DataFrame:
        """The frame under the new version, with the outgoing values beside; tokens that the source does not explain stay."""
        from pyspark.sql import functions as F

        operators, beside = self.columns(frame), self.shadows(frame)
        flags = {name: f"{INTERNAL}old{number}" for number, name in enumerate(operators)}
        ready = frame.select("*", *(self.old_rows(frame, name).alias(flag) for name, flag in flags.items()))
        for name, shadow in beside.items():
            kept = column(shadow) if shadow in frame.columns else F.lit(None)
            ready = ready.withColumn(shadow, F.when(column(flags[name]), column(name)).otherwise(kept))
        for name in [name for name, operator in operators.items() if operator == "token"]:
            ready = self._mapped(spark, ready, name, beside[name], source)
        opened = [name for name, operator in operators.items() if operator in OPENED]
        if opened:
            columns = {
                name: (flags[name], self._operator(name, self.old), self._operator(name, self.new)) for name in opened
            }
            ready = mapped(ready, _opened(columns), ready.schema)
        return ready.drop(*flags.values())

    def _mapped(
        self, spark: SparkSession, ready: DataFrame, name: str, shadow: str, source: DataFrame | None
    ) -> DataFrame:
        from pyspark.sql import functions as F

        if source is None or name.lower() not in {there.lower() for there in source.columns}:
            return ready
        values = source.select(identifier(name)).distinct()
        both, _ = protect_in_window(spark, self.contract, self.keys, values)
        pairs = both(values, strict=False).select(column(shadow).alias(OLD), column(name).alias(NEW))
        joined = ready.join(pairs.where(f"{OLD} is not null").distinct(), column(name) == F.col(OLD), "left")
        return joined.withColumn(name, F.coalesce(NEW, column(name))).select(*map(identifier, ready.columns))

    def _operator(self, name: str, version: int) -> Operator:
        line = self.contract.column(name)
        kind = OPERATORS[line.protect.op]
        assert kind.purpose is not None  # noqa: S101 - these operators have keys
        key = Key(self.domain, version, self.keys.key(kind.purpose, self.domain, version))
        return kind(line.protect, key, line.class_)


def without_shadows(contract: Contract, frame: DataFrame) -> DataFrame:
    """The frame without the columns of a window that stand beside others."""
    return frame.drop(*(name for name in frame.columns if _beside(contract, name, frame.columns)))


def _beside(contract: Contract, name: str, names: Iterable[str]) -> bool:
    of = contract.shadowed(name)
    return of is not None and of in names


Stage = Callable[[Iterable["pa.RecordBatch"]], Iterable["pa.RecordBatch"]]


def _opened(columns: dict[str, tuple[str, Any, Operator]]) -> Stage:
    """What runs on the workers: where a row's flag is set, its value is opened by the one operator and protected by the other."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa
        import pyarrow.compute as pc

        for batch in batches:
            arrays = dict(zip(batch.schema.names, batch.columns, strict=True))
            for name, (flag, outgoing, incoming) in columns.items():
                which = arrays[flag]
                values = arrays[name].filter(which)
                if len(values):
                    arrays[name] = pc.replace_with_mask(arrays[name], which, _again(values, outgoing, incoming))
            yield pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))

    return run


def _again(values: pa.Array, outgoing: Any, incoming: Operator) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = Rows(pa.RecordBatch.from_arrays([values], names=["value"]))
    if not isinstance(outgoing, FpeOperator):
        return incoming.apply(outgoing.reverse(values), rows)[0]
    whole, bad = outgoing.reverse(values)
    made, _ = incoming.apply(whole, rows)
    return (
        made if bad is None else pc.if_else(pa.array(bad), values, made)
    )  # a fallback's value, which fpe did not make
