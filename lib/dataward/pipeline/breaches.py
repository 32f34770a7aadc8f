"""Count the rows that violate what the target's owner declared, by column, before anything is committed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dataward.contract import Contract
from dataward.errors import ProtectionError
from dataward.privacy.protect import ColumnPlan
from dataward.spark.sql import identifier
from dataward.tables.declared import Breach, Declared, breaches
from dataward.tables.reason import from_worker

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["broken"]


def broken(columns: ColumnPlan, table: Declared | None, good: DataFrame, ready: DataFrame) -> list[str]:
    """Return the reasons to stop; a Spark job only where a declaration exists that rows can violate.

    ``good`` are the rows before protection: conditions on kept columns are evaluated there, as protection may be costly.

    Raises:
        ProtectionError: a value cannot be protected.
    """
    asked = [*_empty_partitions(columns.contract, table, ready)]
    asked += breaches(table, ready.columns) if table else []
    if not asked:
        return []
    kept = good.select(*(identifier(name) for name in good.columns if columns.named(name) and columns.of(name).kept))
    reasons = []
    for frame in (kept, ready):
        fitting = [breach for breach in asked if _resolves(frame, breach)]
        asked = [breach for breach in asked if breach not in fitting]
        if fitting:
            counts = _counted(frame, fitting)
            reasons += [f"{n:,} rows {b.words}" for n, b in zip(counts, fitting, strict=True) if n]
    return reasons


def _counted(frame: DataFrame, asked: list[Breach]) -> list[int]:
    try:
        return list(frame.selectExpr(*(f"count_if({breach.sql})" for breach in asked)).collect()[0])
    except Exception as error:
        if said := from_worker(error):
            raise ProtectionError(said) from None
        raise


def _empty_partitions(contract: Contract, table: Declared | None, ready: DataFrame) -> Iterable[Breach]:
    """Yield a breach for ``''`` in a partition column, which Delta stores as null; a refreshed source is partitioned alike and has none."""
    names = table.partition_by if table else contract.target.partition_by
    texts = {name.lower() for name, kind in ready.dtypes if kind == "string"}
    for name in names if contract.target.mode != "refresh" else ():
        if name.lower() in texts:
            words = f"have '' in partition column '{name}', which Delta stores as null: repair it (treat.missing) or give a value"
            yield Breach(f"{identifier(name)} = ''", words)


def _resolves(frame: DataFrame, breach: Breach) -> bool:
    """Return whether a frame has the columns of a breach's condition; Delta itself checks the others when it writes."""
    try:
        frame.selectExpr(f"count_if({breach.sql})")
    except Exception:
        return False
    return True
