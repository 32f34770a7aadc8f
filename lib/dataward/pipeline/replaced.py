"""Find which diverted rows of a run must not be released any more, as later versions of the target have replaced what the run wrote.

A run that replaces rows (mode ``overwrite``, ``replace`` or ``refresh``) judges their source again: it publishes or diverts the
same rows once more. The rows that an earlier run diverted are then superseded; released as well, they would be in the target twice,
or would bring back an older state. In a merge a key may have been written again with newer values.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.contract.reserved import INTERNAL
from dataward.spark.sql import column
from dataward.tables import delta
from dataward.tables.delta import ROW_NEUTRAL, Commit
from dataward.tables.partitions import Parts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from dataward.contract import Target

__all__ = ["Later", "later", "replaced_parts", "replaced_partition", "still_due"]

KEY = "replaced"
"""Key of a commit's metadata with the partitions that a run replaced."""
BEFORE, NOW = f"{INTERNAL}before", f"{INTERNAL}now"


@dataclass(frozen=True)
class Later:
    """What was written to the target after a run.

    Attributes:
        version: the run's own version; None where the log has it no more, or a restored version is older.
        whole: the commit that replaced all rows of the run; None where there is none.
        parts: later commits that replaced partitions, each with the SQL condition of their rows.
        wrote: whether any later commit wrote rows.
    """

    version: int | None = None
    whole: Commit | None = None
    parts: tuple[tuple[Commit, str], ...] = ()
    wrote: bool = False

    @property
    def condition(self) -> str:
        """SQL of the condition that a row was replaced."""
        if self.whole is not None:
            return "true"
        return " or ".join(f"({where})" for _, where in self.parts) or "false"

    @property
    def by(self) -> str:
        """The run that replaced rows last, for messages."""
        commit = self.whole or (self.parts[0][0] if self.parts else None)
        return "" if commit is None else f"run '{commit.metadata['run_id']}' (version {commit.version})"


def later(commits: Iterable[Commit], run_id: str) -> Later:
    """Return what was written after a run, from the target's commits, newest first.

    Commits that a restored version has undone count for nothing.
    """
    parts: list[tuple[Commit, str]] = []
    wrote, below, restoring = False, None, None
    for commit in commits:
        mine = commit.metadata.get("run_id") == run_id
        if below is not None and commit.version > below:
            if mine:
                return Later(None, restoring, wrote=True)
            continue
        if mine:
            return Later(commit.version, None, tuple(parts), wrote)
        wrote = wrote or commit.operation not in ROW_NEUTRAL
        if "restores" in commit.metadata:
            below, restoring = int(commit.metadata["restores"]), commit
        elif (
            "mode" in commit.metadata and "releases" not in commit.metadata
        ):  # of a run; no rotation, erasure or foreign write
            if commit.replaces_all:
                return Later(None, commit, tuple(parts), wrote=True)
            if where := _condition(commit.metadata.get(KEY)):
                parts.append((commit, where))
    return Later(None, None, tuple(parts), wrote)


def replaced_parts(columns: Sequence[tuple[str, str]], parts: Iterable[str]) -> dict[str, Any]:
    """Return the metadata of a commit that replaces partitions (texts of :class:`Parts`, with name and type of each column)."""
    return {KEY: {"columns": [list(one) for one in columns], "parts": sorted(parts)}}


def replaced_partition(partition: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of a commit of mode ``replace``; Spark compares the texts of values by the types of the columns."""
    values = [value if isinstance(value, str) else json.dumps(value) for value in partition.values()]
    return replaced_parts([(name, "string") for name in partition], [json.dumps(values)])


def still_due(spark: SparkSession, target: Target, waiting: DataFrame, then: Later) -> DataFrame:
    """Return the waiting rows that no later version replaced.

    In a merge these are the rows whose key is as the run left it: neither added since, nor written with other values.
    """
    from pyspark.sql import functions as F

    rows = waiting.where(f"not coalesce({then.condition}, false)")
    if target.mode != "merge" or not then.wrote or then.version is None:
        return rows
    now, before = (
        delta.read(spark, target, version) for version in (delta.latest_version(spark, target), then.version)
    )
    names = [name for name in before.columns if name in now.columns]

    def with_row(frame: DataFrame, name: str) -> DataFrame:
        return frame.select(*map(column, target.on), F.to_json(F.struct(*map(column, names))).alias(name))

    both = with_row(now, NOW).join(with_row(before, BEFORE), list(target.on), "left")  # a key is never null
    written = both.where(f"not ({NOW} <=> {BEFORE})").select(*map(column, target.on))
    return rows.join(written, list(target.on), "leftanti")


def _condition(replaced: Mapping[str, Any] | None) -> str:
    """Return the SQL condition of replaced partitions, built from their values: the log's own text is never run as SQL."""
    if not replaced:
        return ""
    return Parts(tuple((name, kind) for name, kind in replaced["columns"]), {}).among(replaced["parts"])
