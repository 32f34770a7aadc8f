"""Lineage of contracts: the sources of each table, by the newest seals. ``dataward verify`` proves each seal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dataward.contract import Contract, Location
from dataward.errors import UsageError
from dataward.integrity import ledger
from dataward.integrity.seal import Seal
from dataward.pipeline.guard import guarded
from dataward.pipeline.plan import Plan, plan
from dataward.report.lineage import Edge, Graph, Table
from dataward.spark.session import isolated

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["graph", "lineage", "plans_of"]


def plans_of(places: Iterable[str]) -> list[Plan]:
    """Read contracts.

    Args:
        places: contract files, and folders of contract files.

    Raises:
        UsageError: no contract was found.
        ContractError: one is invalid.
    """
    files = []
    for place in map(Path, places):
        found = sorted(place.glob("*.yaml")) if place.is_dir() else [place]
        if not found:
            raise UsageError(f"{place}: there is no contract (*.yaml) in this folder")
        files += found
    return [plan(file) for file in files]


@guarded("lineage")
def lineage(spark: SparkSession, plans: Sequence[Plan]) -> Graph:
    """Return the graph of contracts by the newest seal of each target."""
    with isolated(spark):
        return graph(
            [(it.contract, ledger.newest_seal(it.contract.ledger_location, it.contract.target)) for it in plans]
        )


def graph(sealed: Sequence[tuple[Contract, Seal | None]]) -> Graph:
    """Return the graph of contracts with the newest seals of their targets; equal locations are one table."""
    places: list[Location] = []

    def name(place: Location) -> str:
        known = next((other for other in places if other.same(place)), None)
        if known is None:
            places.append(place)
        return str(known or place).rstrip("/")

    tables: dict[str, Table] = {}
    edges = []
    for contract, seal in sealed:
        source, target = name(contract.source), name(contract.target)
        tables.setdefault(source, Table(source))
        tables[target] = Table(target, seal.version, seal.time, seal.rows["published"]) if seal else Table(target)
        roles = [("source", source), *((alias, name(place)) for alias, place in contract.references.items())]
        for role, place in roles:
            tables.setdefault(place, Table(place))
            edges.append(_edge(contract, seal, role, place, target))
    return Graph(tuple(tables.values()), tuple(edges))


def _edge(contract: Contract, seal: Seal | None, role: str, source: str, target: str) -> Edge:
    if seal is None:
        return Edge(contract.contract, source, target, role, None, None, {}, {})
    read = seal.source if role == "source" else seal.references.get(role, {})
    verdicts: dict[str, int] = {}
    for verdict in seal.verdicts:
        verdicts[verdict["outcome"]] = verdicts.get(verdict["outcome"], 0) + 1
    protected = {one["column"]: one["protection"] for one in seal.protections if one["stage"] != "kept"}
    return Edge(contract.contract, source, target, role, seal.run_id, read.get("version"), verdicts, protected)
