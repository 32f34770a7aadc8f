"""Refuse what cannot work through Spark Connect, by name, before anything is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dataward.contract import Contract
from dataward.errors import UsageError
from dataward.spark.kind import is_remote
from dataward.spark.settings import FORMAT_CHECK, refuses
from dataward.tables.maintenance import RETENTION_CHECK
from dataward.tables.named import USER_METADATA

__all__ = ["refuse", "troubles"]

MEASURING = frozenset({"publish", "quarantine_release", "explain"})
"""Verbs that measure rules with the contract's engine."""

NEEDED = {
    "erase": (RETENTION_CHECK, FORMAT_CHECK),
    "restore": (USER_METADATA,),
}
"""Settings without which a verb would end half done; others have a second way, or cost time only."""


def refuse(spark: Any, contract: Contract | None, verb: str) -> None:
    """Check a verb on a contract against the kind of session.

    Raises:
        UsageError: the session is one of Spark Connect, and the verb or the contract needs a JVM in this process.
    """
    if spark is None or contract is None or not is_remote(spark):
        return
    found = list(troubles(contract, verb))
    if refused := refuses(spark, *NEEDED.get(verb, ())):
        found.append(f"{verb} sets {' and '.join(refused)}, which this platform refuses")
    if found:
        raise UsageError(
            f"contract '{contract.contract}' cannot run through Spark Connect:\n  "
            + "\n  ".join(found)
            + "\nUse a classic session for it, or change the contract (docs/connect.md)"
        )


def troubles(contract: Contract, verb: str) -> Iterator[str]:
    """Yield what cannot work through Spark Connect, each with its remedy."""
    if verb in MEASURING:
        if contract.engine == "deequ" and "engine" in contract.model_fields_set:
            yield "engine deequ needs Deequ in the JVM of this process: write 'engine: spark', which measures the same"
        if contract.checks:
            yield "'checks' are PyDeequ's, which needs the JVM of this process: write them as rules"
        if contract.target.mode == "refresh":
            yield "mode refresh lists files by Delta's classes: use overwrite, replace, append or merge"
        if contract.source.format == "frame":
            yield "a DataFrame would be evaluated under the run's settings (UTC, ANSI off): write it to a table, and name that"
    places = {what: place for what, place in contract.tables.items() if what != "ledger"}
    places |= {"source": contract.source} | {f"reference '{alias}'": one for alias, one in contract.references.items()}
    for what, place in places.items():
        if place.path is not None and "://" not in place.path and not place.path.startswith(("/", "file:", "dbfs:")):
            yield f"{what} {place.path}: the server would look for it in its own folder; write an absolute path, a URL or a table"
