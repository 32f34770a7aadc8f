"""Give originals back in a frame, on the workers; keys travel in the function, which no plan shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dataward.contract import Column, Contract
from dataward.contract.operation import Operation
from dataward.contract.protections import Json
from dataward.errors import KeyringError, RunError, UsageError
from dataward.keys import Keyring, Purpose
from dataward.privacy.protect.compiled import OPERATORS
from dataward.privacy.protect.entries import KEY, Table, opened
from dataward.privacy.protect.shred import key_names, out_of_keys, shredded
from dataward.privacy.reidentify import originals
from dataward.spark.sql import column
from dataward.spark.workers import mapped
from dataward.tables.reason import from_worker, reason

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["openable", "with_originals"]

MOST = 1_000_000
"""Entries of a vault, or keys of subjects, that one reading opens."""


def openable(contract: Contract, name: str) -> bool:
    """Whether a whole column can be opened: its own operator can be reversed, and it holds nothing that is protected apart."""
    line = contract.line(name)
    inside = any(path.lower().startswith(f"{name.lower()}.") for path in contract.columns)
    return any(part.reversible for part in line.protect.parts()) and not isinstance(line.protect, Json) and not inside


@dataclass(frozen=True)
class _Shipped:
    """Keys by purpose, domain and version, as workers need them."""

    keys: dict[tuple[str, str, int], bytes] = field(repr=False)

    def key(self, purpose: Purpose, domain: str, version: int) -> bytes:
        if (purpose, domain, version) not in self.keys:
            raise KeyringError(f"version {version} of domain '{domain}' is disabled, or there is none")
        return self.keys[purpose, domain, version]

    def current(self, domain: str) -> int:
        raise NotImplementedError("workers only open values")


@dataclass(frozen=True)
class _Opener:
    """Opens the values of one column. ``entries``: originals of a vault by token, or keys of subjects by name."""

    contract: Contract
    line: Column
    keys: _Shipped
    live: frozenset[int]
    entries: dict[str, bytes] | None = field(repr=False)

    def __call__(self, values: pa.Array) -> list[str | None]:
        if self.entries is None:
            found = originals(None, self.contract, self.line, self.keys, values, set(self.live))  # type: ignore[arg-type]
        elif self.line.protect.op == "vault":
            found = [self.entries.get(token) for token in values.to_pylist()]
        else:
            found = out_of_keys(shredded(values.to_pylist()), self.entries)
        return [None if text is None else text.decode(errors="replace") for text in found]


def with_originals(
    spark: SparkSession,
    contract: Contract,
    keys: Keyring,
    frame: DataFrame,
    live: dict[str, set[int]],
    names: Iterable[str],
) -> DataFrame:
    """Replace stored values of columns by their originals, as text; null where a value has none any more.

    Raises:
        KeyringError: a key is gone.
        UsageError: more entries of a vault would be opened than a reading may hold.
    """
    from pyspark.sql.types import StringType, StructField, StructType

    openers = {name: _opener(spark, contract, keys, frame, live.get(name, set()), name) for name in names}
    if not openers:
        return frame
    fields = [
        StructField(one.name, StringType() if one.name in openers else one.dataType) for one in frame.schema.fields
    ]
    return mapped(frame, _opening(openers), StructType(fields))


def _opening(openers: dict[str, _Opener]) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            columns = [
                pa.array(openers[name](values), pa.string()) if name in openers else values
                for name, values in zip(batch.schema.names, batch.columns, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(columns, names=batch.schema.names)

    return run


def _opener(
    spark: SparkSession, contract: Contract, keys: Keyring, frame: DataFrame, live: set[int], name: str
) -> _Opener:
    line = contract.line(name)
    domain = contract.domain(line)
    shipped = _Shipped(dict(_keys_of(keys, line.protect, domain)))
    entries = _entries(spark, line.protect, domain, shipped, frame, name) if line.protect.entered else None
    return _Opener(contract, line, shipped, frozenset(live), entries)


def _keys_of(keys: Keyring, protect: Operation, domain: str) -> Iterator[tuple[tuple[str, str, int], bytes]]:
    """Yield the keys of every enabled version for the operator and its fallbacks."""
    for purpose in {OPERATORS[part.op].purpose for part in protect.parts() if part.reversible} - {None}:
        assert purpose is not None  # noqa: S101 - taken out above
        for number, version in keys.versions(domain).items():
            if version.enabled:
                yield (purpose, domain, number), keys.key(purpose, domain, number)


def _entries(
    spark: SparkSession, protect: Any, domain: str, keys: _Shipped, frame: DataFrame, name: str
) -> dict[str, bytes]:
    """Read the entries that a frame's values need."""
    purpose: Purpose = protect.op
    table = Table(spark, protect.path, purpose, KEY if purpose == "shred" else 0)
    try:
        values = [
            row[0]
            for row in frame.select(column(name)).where(column(name).isNotNull()).distinct().limit(MOST + 1).collect()
        ]
    except Exception as error:
        raise RunError(from_worker(error) or f"column '{name}' cannot be read: {reason(error)}") from None
    if len(values) > MOST:
        raise UsageError(f"column '{name}' has more than {MOST:,} values to open: choose fewer rows, or use reidentify")
    tokens = key_names(values) if purpose == "shred" else set(values)
    rows = table.of_tokens(tokens)
    made = {row.token: opened(keys.key(purpose, domain, row.key_version), bytes(row.sealed), row.token) for row in rows}
    return {token: text[:KEY] for token, text in made.items()} if purpose == "shred" else made
