"""Write a second column of tokens under the outgoing key version while a rotation's window is open.

While domain ``people`` changes from version 1 to 2, a column ``email`` of tokens has a second column ``email__v1``, by which a
table at version 2 joins a table at version 1; tables at version 2 join by ``email``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataward.contract import Column, Contract, Location
from dataward.contract.protections import Shred, Vault
from dataward.contract.reserved import shadow_of
from dataward.errors import KeyringError
from dataward.keys import KeyProvider, Purpose
from dataward.privacy.protect.entries import Table
from dataward.privacy.protect.plan import ColumnPlan
from dataward.privacy.protect.spark import Protected, Protecting, output_fields, protect
from dataward.spark.sql import column, identifier
from dataward.tables import delta

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

__all__ = ["outgoing", "output_schema", "protect_in_window", "shadows"]


@dataclass(frozen=True)
class _Outgoing:
    """A keyring whose current version is the outgoing one."""

    keys: KeyProvider

    def current(self, domain: str) -> int:
        """Return the outgoing version, or the current one where no window is open."""
        return self.keys.window(domain) or self.keys.current(domain)

    def window(self, domain: str) -> None:
        return None

    def key(self, purpose: Purpose, domain: str, version: int) -> bytes:
        """Return a key of the keyring."""
        return self.keys.key(purpose, domain, version)


def outgoing(keys: KeyProvider) -> KeyProvider:
    """Return the same keys, with the outgoing version for new writes."""
    return _Outgoing(keys)


def shadows(contract: Contract, keys: KeyProvider, names: Iterable[str]) -> dict[str, str]:
    """Map each column whose domain's window is open to the name of its second column."""
    names_of_shadows = {}
    for name in names:
        line = contract.column(name)
        if line.protect.shadowed and (version := keys.window(contract.domain(line))):
            names_of_shadows[name] = shadow_of(name, version)
    return names_of_shadows


def output_schema(plan: ColumnPlan) -> tuple[StructType, list[str]]:
    """Return the schema of the output, and the names of its second columns."""
    fields = dict(output_fields(plan))
    for name, shadow in plan.shadows.items():
        fields[shadow] = fields[name]
    written = type(plan.schema)()
    for name, kind in fields.items():
        written.add(name, kind)
    return written, list(plan.shadows.values())


def protect_in_window(
    spark: SparkSession, plan: ColumnPlan, frame: DataFrame, few: Iterable[str] = ()
) -> tuple[Protecting, tuple[Protected, ...]]:
    """Protect like :func:`dataward.privacy.protect.spark.protect`, with second columns where a window is open."""
    contract, second = plan.contract, {name: shadow for name, shadow in plan.shadows.items() if name in frame.columns}
    for line in contract.columns.values():
        _vault_ready(spark, line, plan.keys.window(contract.domain(line)))
    new, protections = protect(spark, plan, frame, few)
    if not second:
        return new, protections

    def widened(given: DataFrame) -> DataFrame:
        return given.select("*", *(column(name).alias(shadow) for name, shadow in second.items()))

    shadowing = widened(frame).select(*(identifier(shadow) for shadow in second.values()))
    before = ColumnPlan.resolve(contract, outgoing(plan.keys), shadowing.schema)
    old, second_protections = protect(spark, before, shadowing)

    def both(given: DataFrame, strict: bool = True) -> DataFrame:
        return old(new(widened(given), strict), strict)

    return both, protections + second_protections


def _vault_ready(spark: SparkSession, line: Column, version: int | None) -> None:
    """Raise KeyringError where a vault, or the subjects' keys, still have entries under the outgoing version."""
    protection = line.protect
    if (
        not isinstance(protection, Vault | Shred)
        or version is None
        or not delta.exists(spark, Location(path=protection.path))
    ):
        return
    if Table(spark, protection.path, protection.op).carries(version):
        raise KeyringError(
            f"{protection.op} {protection.path}: its key is being rotated, and it is still under version {version}: "
            "run dataward rotate first"
        )
