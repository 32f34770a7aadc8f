"""Check the privacy units of a table against its seal: the protection and the key versions of their column."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from dataward.errors import SourceError, UsageError
from dataward.pipeline.key_uses import live_versions, seals_and_commits
from dataward.release.query import Query, contract_of
from dataward.release.units import splits
from dataward.tables import delta

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["vouched"]


def vouched(spark: SparkSession, query: Query, version: int, unit: str | None, columns: Collection[str]) -> None:
    """Check that a version is sealed and that one person has one value in the unit's column.

    Args:
        spark: the session.
        query: the query.
        version: the pinned version of its source.
        unit: the unit's column; None: rows.
        columns: the table's columns.

    Raises:
        SourceError: the version is not sealed.
        UsageError: the column may split a person into several units.
    """
    source = query.source
    if not source.sealed:
        if unit and (trouble := splits(unit, columns, None, ())):
            raise UsageError(f"unit '{unit}' of {source}: {trouble}")
        return
    contract = contract_of(query, source.beside("source"), source, source.ledger)
    seals, commits = seals_and_commits(spark, contract)
    sealed = max((number for number in seals if number <= version), default=None)
    rows_changed = [
        number
        for number, commit in commits.items()
        if sealed is not None and sealed < number <= version and commit.operation not in delta.ROW_NEUTRAL
    ]
    if sealed is None or rows_changed:
        raise SourceError(
            f"{source} version {version} is not sealed in ledger {contract.ledger_location}: publish it, name its ledger "
            "(source: {ledger: {path: ...}}), or write sealed: false, where you yourself vouch for the units"
        )
    seal = seals[sealed]
    found, expected = delta.commit_file(spark, source, sealed)[1], seal.commit.sha256
    if found is not None and expected is not None and found != expected:
        raise SourceError(f"{source} version {sealed}: its commit file is not as sealed; dataward verify tells more")
    if unit is None:
        return
    protections = {one["column"].lower(): one for one in seal.protections}
    line = protections.get(unit.lower(), {})
    versions = live_versions(spark, contract, contract.target, version).get(unit, set())
    if trouble := splits(unit, columns, line.get("protection"), versions):
        raise UsageError(f"unit '{unit}' of {source}: {trouble}")
