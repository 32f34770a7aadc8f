"""List the versions of a target with their seals: author, time, source, outcomes, rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataward.integrity.seal import Seal
from dataward.pipeline.guard import guarded
from dataward.pipeline.key_uses import seals_and_commits
from dataward.pipeline.plan import Plan
from dataward.spark.session import isolated
from dataward.tables import delta

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["VersionRecord", "history"]


@dataclass(frozen=True)
class VersionRecord:
    """One version of the target; the fields from ``run_id`` on are None for a version without a seal."""

    version: int
    time: str
    operation: str
    sealed: bool
    run_id: str | None = None
    who: str | None = None
    source: str | None = None
    rows: dict[str, int] | None = None
    verdicts: dict[str, int] | None = None
    key: str | None = None
    content: str | None = None


@guarded("history")
def history(spark: SparkSession, plan: Plan) -> list[VersionRecord]:
    """Return every version in Delta's log or in the ledger, newest first.

    Raises:
        TargetError: the target does not exist.
    """
    with isolated(spark) as own:
        seals, commits = seals_and_commits(own, plan.contract)
        versions = sorted(set(seals) | set(commits), reverse=True)
        return [_record(version, commits.get(version), seals.get(version)) for version in versions]


def _record(version: int, commit: delta.Commit | None, seal: Seal | None) -> VersionRecord:
    operation = commit.operation if commit else "(no longer in the log)"
    if seal is None:
        run_id = commit.metadata.get("run_id") if commit else None
        return VersionRecord(version, commit.timestamp if commit else "", operation, False, run_id)
    counts: dict[str, int] = {}
    for verdict in seal.verdicts:
        counts[verdict["outcome"]] = counts.get(verdict["outcome"], 0) + 1
    key = f"{seal.key['domain']} v{seal.key['version']}"
    return VersionRecord(
        version,
        seal.time,
        operation,
        True,
        seal.run_id,
        seal.who,
        str(seal.source["described"]),
        seal.rows,
        counts,
        key,
        seal.content.digest,
    )
