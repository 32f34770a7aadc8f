"""Table versions that depend on each key version, from Delta's log and the ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dataward.contract import Contract, Location
from dataward.errors import TargetError
from dataward.integrity import ledger
from dataward.integrity.seal import Seal
from dataward.keys import Keyring, open_keys
from dataward.pipeline.guard import guarded
from dataward.privacy.erased import Memory
from dataward.privacy.protect.entries import tables_of
from dataward.spark.session import isolated
from dataward.tables import delta

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["KeyUse", "by_column", "key_uses", "live_versions", "seals_and_commits"]


@dataclass(frozen=True)
class KeyUse:
    """Dependents of one key version: what would be lost if it were disabled.

    ``columns``: by column, the versions of the target with values made with the key (at most: a merge may have replaced them all).
    ``quarantined``: columns of the quarantine and the table of changes. ``sealed``: versions whose rows could not be summed again
    by ``verify --rows``.
    """

    domain: str
    version: int
    enabled: bool
    current: bool
    columns: dict[str, tuple[int, ...]]
    protections: dict[str, str]
    quarantined: tuple[str, ...]
    sealed: tuple[int, ...]
    entries: dict[str, int] = field(default_factory=dict)
    """Number of entries encrypted under the key, by table beside the target (vaults, keys of subjects, erased subjects)."""


@guarded("history")
def key_uses(spark: SparkSession, contract: Contract) -> list[KeyUse]:
    """Return every key version of the contract's domains with its dependents, from the log and the ledger.

    Raises:
        TargetError: there is no target yet.
        KeyringError: the keyring cannot be read.
    """
    ring = open_keys(contract.keys)
    with isolated(spark) as own:
        seals, commits = seals_and_commits(own, contract)
        aside = _quarantined(own, contract)
        beside = _entries(own, contract, ring)
    made = _made_by(seals, commits)
    protections = {one["column"]: one["protection"] for _, seal in sorted(seals.items()) for one in seal.protections}
    sealed = defaultdict(list)
    for number, seal in sorted(seals.items()):
        sealed[_key_name(seal.key["domain"], seal.key["version"])].append(number)
    uses = []
    for domain in sorted({*contract.domains} & {*ring.domains}):
        for number, key in sorted(ring.versions(domain).items()):
            name = _key_name(domain, number)
            columns = {column: tuple(versions) for (column, by), versions in sorted(made.items()) if by == name}
            how = {column: protections.get(column, "") for column in columns}
            quarantined = tuple(sorted(column for column, by in aside if by == name))
            current = number == ring.newest(domain)
            entries = {place: count for (place, by), count in beside.items() if by == name}
            uses.append(
                KeyUse(domain, number, key.enabled, current, columns, how, quarantined, tuple(sealed[name]), entries)
            )
    return uses


def by_column(protections: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the keys of each column (or place inside it), as commits name them."""
    found: dict[str, list[str]] = defaultdict(list)
    for one in protections:
        if one["domain"]:
            found[one["column"]].append(_key_name(one["domain"], one["key_version"]))
    return {column: ", ".join(names) for column, names in found.items()}


def _named(commit: delta.Commit) -> set[tuple[str, str]]:
    """Return the columns and keys that a commit names."""
    named = commit.metadata.get("key_versions", {})
    return {(column, name) for column, names in named.items() for name in names.split(", ")}


def _key_name(domain: object, version: object) -> str:
    return f"{domain} v{version}"


def _made_by(seals: dict[int, Seal], commits: dict[int, delta.Commit]) -> dict[tuple[str, str], list[int]]:
    """Return by column and key the versions with values made with the key; values that a version does not replace stay in it."""
    made: dict[tuple[str, str], list[int]] = defaultdict(list)
    live: set[tuple[str, str]] = set()
    for version in sorted(set(seals) | set(commits)):
        seal, commit = seals.get(version), commits.get(version)
        if commit is not None and commit.replaces_all:
            live = set()
        if seal is not None:
            keyed = [one for one in seal.protections if one["domain"]]
            live |= {(one["column"], _key_name(one["domain"], one["key_version"])) for one in keyed}
        elif commit is not None:
            live |= _named(commit)
        for use in live:
            made[use].append(version)
    return made


def live_versions(spark: SparkSession, contract: Contract, place: Location, version: int) -> dict[str, set[int]]:
    """Return the key versions that may protect values of each column or path.

    ``place`` and ``version`` name a version of the target, or of a table beside it.
    """
    if place != contract.target:
        seals: dict[int, Seal] = {}
        commits = {commit.version: commit for commit in delta.history(spark, place)}
    else:
        seals, commits = seals_and_commits(spark, contract)
    found: dict[str, set[int]] = defaultdict(set)
    for (column, by), versions in _made_by(seals, commits).items():
        if version in versions:
            found[column].add(int(by.rpartition(" v")[2]))
    return found


def _quarantined(spark: SparkSession, contract: Contract) -> set[tuple[str, str]]:
    """Return the columns of the quarantine and of the table of changes, each with the key of values in it."""
    places = [place for place in contract.row_tables[1:] if delta.exists(spark, place)]
    commits = [commit for place in places for commit in delta.history(spark, place)]
    return {use for commit in commits for use in _named(commit)}


def _entries(spark: SparkSession, contract: Contract, keys: Keyring) -> dict[tuple[str, str], int]:
    """Return the number of entries encrypted under a key, by table of entries and key."""
    found = {}
    for domain in sorted({*contract.domains} & {*keys.domains}):
        for version in keys.versions(domain):
            for table in tables_of(spark, contract, domain):
                found[table.path, _key_name(domain, version)] = table.carries(version)
    memory = Memory(spark, contract, keys)
    if memory.exists():
        for version in keys.versions(memory.domain):
            found[str(memory.place), _key_name(memory.domain, version)] = memory.carries(version)
    return {use: count for use, count in found.items() if count}


def seals_and_commits(spark: SparkSession, contract: Contract) -> tuple[dict[int, Seal], dict[int, delta.Commit]]:
    """Return the seals and the commits of the target by version."""
    target = contract.target
    if not delta.exists(spark, target):
        raise TargetError(f"{target}: there is no table yet. Publish first")
    seals: dict[int, Seal] = {}
    for record in ledger.records(contract.ledger_location, "seal", target):
        if isinstance(record, Seal) and record.target == str(target):
            seals[record.version] = record
    return seals, {commit.version: commit for commit in delta.history(spark, target)}
