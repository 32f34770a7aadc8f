"""Lineage of contracts: the sources of each table, by the newest seals. ``dataward verify`` proves each seal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dataward.contract import Contract, Document, Location
from dataward.errors import ContractError, UsageError
from dataward.integrity import ledger
from dataward.integrity.seal import Seal
from dataward.pipeline.context import Progress, silent
from dataward.pipeline.guard import guarded
from dataward.pipeline.plan import Plan, plan
from dataward.report.lineage import Edge, Graph, Table
from dataward.spark.session import isolated

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["graph", "lineage", "plans_of"]


def plans_of(places: Iterable[str], progress: Progress = silent) -> list[Plan]:
    """Read contracts.

    Args:
        places: contract files, and folders of them. YAML files of a folder that are no contracts are left out.
        progress: is called with a line about each file that is left out.

    Raises:
        UsageError: no contract was found.
        ContractError: one is invalid.
    """
    files = []
    for place in map(Path, places):
        found = [place]
        if place.is_dir():
            yamls = sorted([*place.glob("*.yaml"), *place.glob("*.yml")])
            others = {file: why for file in yamls if (why := _no_contract(file))}
            for file, why in others.items():
                progress(f"left out: {file}, {why}")
            found = [file for file in yamls if file not in others]
        if not found:
            raise UsageError(
                f"{place}: there is no contract (*.yaml) in this folder. Name the contracts, or their folder"
            )
        files += found
    return [plan(file) for file in files]


def _no_contract(file: Path) -> str:
    """Return why a YAML file is no contract; empty if it is one, with mistakes or without.

    Other files name a contract as well, such as cases for the access policy: only a contract has a source or a target beside it.
    """
    try:
        data = Document.read(file).data
    except ContractError as error:
        return f"which cannot be read as a contract: {error.problems[0].what} (line {error.problems[0].line})"
    if isinstance(data, dict) and "contract" in data and ("source" in data or "target" in data):
        return ""
    return "which has no 'contract' with a 'source' and a 'target'"


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
