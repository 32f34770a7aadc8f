"""The window of a rotation: beside every token a second one, under the key version that goes out of use.

While domain ``people`` goes from version 1 to 2, a column ``email`` of tokens has ``email__v1`` beside it. A table that is at
version 2 already joins one that still is at version 1 by it; both at version 2 join as ever.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataward.contract import Column, Contract, Location
from dataward.contract.protections import Shred, Vault
from dataward.errors import KeyringError
from dataward.privacy.keys import KeyProvider, Purpose
from dataward.privacy.protect.entries import Table
from dataward.privacy.protect.spark import Protected, Protecting, output_fields, protect
from dataward.reserved import shadow_of
from dataward.sql import column, identifier
from dataward.tables import delta

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

__all__ = ["outgoing", "output_schema", "protect_in_window", "shadows"]


@dataclass(frozen=True)
class _Outgoing:
    """A keyring that writes under the versions that go out of use."""

    keys: KeyProvider

    def current(self, domain: str) -> int:
        return self.keys.window(domain) or self.keys.current(domain)

    def window(self, domain: str) -> None:
        return None

    def key(self, purpose: Purpose, domain: str, version: int) -> bytes:
        return self.keys.key(purpose, domain, version)


def outgoing(keys: KeyProvider) -> KeyProvider:
    """The same keys, where new writes use the version that goes out of use."""
    return _Outgoing(keys)


def shadows(contract: Contract, keys: KeyProvider, names: Iterable[str]) -> dict[str, str]:
    """By column whose domain's window is open, the name of the column beside it."""
    found = {}
    for name in names:
        line = contract.column(name)
        if line.protect.shadowed and (version := keys.window(contract.domain(line))):
            found[name] = shadow_of(name, version)
    return found


def output_schema(contract: Contract, keys: KeyProvider, schema: StructType) -> tuple[StructType, list[str]]:
    """The columns as they will be written, and which of them stand beside another while a window is open."""
    beside = shadows(contract, keys, _single(schema))
    made = dict(output_fields(contract, keys, schema))
    for name, shadow in beside.items():
        made[shadow] = made[name]
    written = type(schema)()
    for name, kind in made.items():
        written.add(name, kind)
    return written, list(beside.values())


def _single(schema: StructType) -> list[str]:
    """The columns that are not nested."""
    return [field.name for field in schema.fields if field.dataType.typeName() not in ("array", "map", "struct")]


def protect_in_window(
    spark: SparkSession, contract: Contract, keys: KeyProvider, frame: DataFrame, few: Iterable[str] = ()
) -> tuple[Protecting, tuple[Protected, ...]]:
    """As :func:`dataward.privacy.protect.spark.protect`; where a window is open, with a column for each that joins."""
    for line in contract.columns.values():
        _vault_ready(spark, line, keys.window(contract.domain(line)))
    new, told = protect(spark, contract, keys, frame, few)
    beside = shadows(contract, keys, _single(frame.schema))
    if not beside:
        return new, told

    def widened(given: DataFrame) -> DataFrame:
        return given.select("*", *(column(name).alias(shadow) for name, shadow in beside.items()))

    shadowing = widened(frame).select(*(identifier(shadow) for shadow in beside.values()))
    old, told_too = protect(spark, contract, outgoing(keys), shadowing)

    def both(given: DataFrame, strict: bool = True) -> DataFrame:
        return old(new(widened(given), strict), strict)

    return both, told + told_too


def _vault_ready(spark: SparkSession, line: Column, version: int | None) -> None:
    """Raise KeyringError where a vault (or the subjects' keys) would not find what it holds under the outgoing version."""
    given = line.protect
    if not isinstance(given, Vault | Shred) or version is None or not delta.exists(spark, Location(path=given.path)):
        return
    if Table(spark, given.path, given.op).carries(version):
        raise KeyringError(
            f"{given.op} {given.path}: its key is being rotated, and it is still under version {version}: run dataward rotate first"
        )
