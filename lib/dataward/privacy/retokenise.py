"""From one key version to the next: reversible values by opening and protecting them again, tokens by a map from the source.

A value is under the outgoing version where it says so (``v1.``), or, where it cannot say it (``fpe``), where the column
beside it (``card__v1``) is empty; without such a column the log tells for all of them. What is already under the new version
is left alone, so that a step may be taken twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.contract import Contract
from dataward.contract.operation import Operation
from dataward.contract.reserved import INTERNAL, shadow_of
from dataward.keys import KeyProvider, Purpose
from dataward.privacy import rekey
from dataward.privacy.protect import (
    OPERATORS,
    ColumnPlan,
    arrow_schema,
    compiled,
    key_of,
    outgoing,
    protect_in_window,
    shadows,
)
from dataward.privacy.protect.compiled import FALLBACK, KeyOf, read_by
from dataward.privacy.protect.fpe import FpeOperator
from dataward.privacy.protect.operator import Key, Operator, Rows
from dataward.spark.sql import column, identifier
from dataward.spark.workers import mapped

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame, SparkSession

__all__ = ["Step", "without_shadows"]

MOST_TOKENS = 1_000_000
"""Tokens inside of nested columns, JSON and fallbacks whose map is sent to the workers."""

OLD, NEW = f"{INTERNAL}old", f"{INTERNAL}new"


@dataclass(frozen=True)
class Step:
    """The columns of one table that a domain's key protects, on the way from version ``old`` to ``new``."""

    contract: Contract
    keys: KeyProvider
    domain: str
    old: int
    new: int
    live: Mapping[str, set[int]]
    """By column, the key versions under which its values may have been made, according to Delta's log."""

    def columns(self, frame: DataFrame) -> list[str]:
        """Return the whole columns that can be converted to the new version."""
        found = []
        for field in frame.schema.fields:
            line = self.contract.column(field.name)
            plain = field.dataType.typeName() not in ("array", "map", "struct")
            movable = _movable(line.protect) and not _beside(self.contract, field.name, frame.columns)
            if plain and movable and self.contract.domain(line) == self.domain:
                found.append(field.name)
        return found

    def shadows(self, frame: DataFrame) -> dict[str, str]:
        """Return the second column of each retokenised column."""
        return shadows(self.contract, self.keys, self.columns(frame))

    def old_rows(self, frame: DataFrame, name: str) -> Column:
        """Return whether a row's value is under the outgoing version."""
        from pyspark.sql import functions as F

        value, beside = column(name), shadow_of(name, self.old)
        if self.contract.column(name).protect.shows_version:
            return F.coalesce(value.startswith(f"v{self.old}."), F.lit(False))
        untold = F.lit(self.old in self.live.get(name, ()))
        empty = column(beside).isNull() if beside in frame.columns else untold
        return value.isNotNull() & empty

    def carried(self, frame: DataFrame) -> dict[str, int]:
        """Count values under the outgoing version by column or place inside of it; at most three passes."""
        untold = self.untold(frame)
        return self.shown(frame) | (dict.fromkeys(untold, int(frame.count())) if untold else {})

    def shown(self, frame: DataFrame) -> dict[str, int]:
        """Count the same without the places that only the log reveals."""
        from pyspark.sql import functions as F

        names, found = self.columns(frame), Counter[str]()
        if names:
            sums = [F.coalesce(F.sum(self.old_rows(frame, name).cast("long")), F.lit(0)) for name in names]
            found.update(dict(zip(names, frame.agg(*sums).first() or (), strict=True)))
        inside = self.inside(frame)
        if inside.names:
            chosen = frame.select(*map(identifier, inside.names))
            for row in mapped(chosen, inside.counting(), rekey.COUNTS).collect():
                found[row.place] += row["count"]
        return {name: count for name, count in found.items() if count}

    def inside(self, frame: DataFrame) -> rekey.Columns:
        """Return the places inside of columns, and those that fallbacks made in whole columns."""
        own = self.columns(frame)
        fields = [
            field for field in arrow_schema(frame.schema) if not _beside(self.contract, field.name, frame.columns)
        ]
        return rekey.Columns(self.contract, self.between, tuple(fields), frozenset(own))

    @property
    def between(self) -> rekey.Between:
        """The two key versions with their keys."""
        both = (_at(self.keys, self.domain, version) for version in (self.old, self.new))
        return rekey.Between(self.domain, self.old, self.new, *both)

    def untold(self, frame: DataFrame) -> list[str]:
        """Return places inside of columns where, according to the log, fpe made all values under the outgoing version."""
        return [place.where for place in self.inside(frame).places if place.fpe and self.versions(place) == {self.old}]

    def stuck(self, frame: DataFrame) -> dict[str, str]:
        """Return the operators of places with outgoing values that cannot be converted."""
        found = {}
        for place in self.inside(frame).places:
            mixed = place.fpe and len(self.versions(place)) > 1
            if (place.stuck or mixed) and self.old in self.versions(place):
                found[place.where] = ", ".join(place.stuck or ["fpe"])
        return found

    def versions(self, place: rekey.Place) -> set[int]:
        """Return the possible key versions of values at a place; the outgoing one where the log does not know the place."""
        named = [by for name, by in self.live.items() if name.partition(FALLBACK)[0] == place.where]
        return set().union(*named) or {self.old}

    def moved(self, spark: SparkSession, frame: DataFrame, source: DataFrame | None) -> DataFrame:
        """Return the frame under the new version with the outgoing values beside; tokens absent from the source stay unchanged."""
        from pyspark.sql import functions as F

        names, beside = self.columns(frame), self.shadows(frame)
        flags = {name: f"{INTERNAL}old{number}" for number, name in enumerate(names)}
        ready = frame.select("*", *(self.old_rows(frame, name).alias(flag) for name, flag in flags.items()))
        for name, shadow in beside.items():
            kept = column(shadow) if shadow in frame.columns else F.lit(None)
            ready = ready.withColumn(shadow, F.when(column(flags[name]), column(name)).otherwise(kept))
        reversible = [name for name in names if self.contract.column(name).protect.reversible]
        for name in [name for name in names if name not in reversible]:
            ready = self._mapped(spark, ready, name, beside[name], source)
        if reversible:
            columns = {
                name: (flags[name], self._operator(name, self.old), self._operator(name, self.new))
                for name in reversible
            }
            ready = mapped(ready, _opened(columns), ready.schema)
        inside = self.inside(frame)
        if inside.names:
            tokens = self._tokens(frame, inside, source)
            ready = mapped(ready, inside.moving(tokens, self.untold(frame)), ready.schema)
        return ready.drop(*flags.values())

    def _tokens(self, frame: DataFrame, inside: rekey.Columns, source: DataFrame | None) -> dict[str, str]:
        """Return the new token of each outgoing one inside of columns that occurs in the source."""
        if source is None:
            return {}
        found: dict[str, str] = {}
        there = {field.name.lower(): field for field in arrow_schema(source.schema)}
        for name in [name for name in inside.names if name.lower() in there]:
            wanted = mapped(frame.select(identifier(name)), rekey.telling(self.old), rekey.TOKENS)
            if not wanted.head(1):
                continue
            reads = read_by(self.contract, there[name.lower()])
            values = source.select(*map(identifier, dict.fromkeys((name, *reads))))
            schema = arrow_schema(values.schema)
            before = compiled(self.contract, key_of(outgoing(self.keys)), schema, strict=False).columns[0][1]
            after = compiled(self.contract, key_of(self.keys), schema, strict=False).columns[0][1]
            pairs = mapped(values, rekey.pairing(before, after, self.old, self.new), rekey.PAIRS).distinct()
            pairs = pairs.join(wanted.distinct(), pairs["old"] == wanted["token"], "leftsemi").limit(MOST_TOKENS + 1)
            rows = pairs.collect()
            if len(rows) <= MOST_TOKENS:  # a larger map does not fit into tasks: the table is to be published again
                found |= {row.old: row.new for row in rows}
        return found

    def _mapped(
        self, spark: SparkSession, ready: DataFrame, name: str, shadow: str, source: DataFrame | None
    ) -> DataFrame:
        from pyspark.sql import functions as F

        if source is None or name.lower() not in {there.lower() for there in source.columns}:
            return ready
        values = source.select(identifier(name)).distinct()
        both, _ = protect_in_window(spark, ColumnPlan.resolve(self.contract, self.keys, values.schema), values)
        pairs = both(values, strict=False).select(column(shadow).alias(OLD), column(name).alias(NEW))
        joined = ready.join(pairs.where(f"{OLD} is not null").distinct(), column(name) == F.col(OLD), "left")
        return joined.withColumn(name, F.coalesce(NEW, column(name))).select(*map(identifier, ready.columns))

    def _operator(self, name: str, version: int) -> Operator:
        line = self.contract.column(name)
        kind = OPERATORS[line.protect.op]
        assert kind.purpose is not None  # noqa: S101 - these operators have keys
        key = Key(self.domain, version, self.keys.key(kind.purpose, self.domain, version))
        return kind(line.protect, key, line.class_)


def _movable(given: Operation) -> bool:
    """Return whether values can be converted to another key version: decrypted, or made again from the source."""
    return given.keyed and not given.entered and (given.reversible or given.findable)


def _at(keys: KeyProvider, ours: str, version: int) -> KeyOf:
    """Return the keys of one version of a domain; keys of other domains are not used."""

    def key(purpose: Purpose, domain: str) -> Key:
        return Key(domain, version, keys.key(purpose, domain, version) if domain == ours else b"")

    return key


def without_shadows(contract: Contract, frame: DataFrame) -> DataFrame:
    """Return the frame without the second columns of a rotation's window."""
    return frame.drop(*(name for name in frame.columns if _beside(contract, name, frame.columns)))


def _beside(contract: Contract, name: str, names: Iterable[str]) -> bool:
    of = contract.shadowed(name)
    return of is not None and of in names


Stage = Callable[[Iterable["pa.RecordBatch"]], Iterable["pa.RecordBatch"]]


def _opened(columns: dict[str, tuple[str, Any, Operator]]) -> Stage:
    """Return a stage that decrypts flagged values by one operator and protects them by the other."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa
        import pyarrow.compute as pc

        for batch in batches:
            arrays = dict(zip(batch.schema.names, batch.columns, strict=True))
            for name, (flag, before, after) in columns.items():
                which = arrays[flag]
                values = arrays[name].filter(which)
                if len(values):
                    arrays[name] = pc.replace_with_mask(arrays[name], which, _again(values, before, after))
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
