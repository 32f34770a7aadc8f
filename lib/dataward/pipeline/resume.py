"""Resume a run: find the results of an earlier attempt under the same run ID, and decide whether it can be finished."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.contract import Contract, Source
from dataward.errors import SourceChanged, UsageError
from dataward.integrity import ledger
from dataward.integrity.canonical import sha256
from dataward.integrity.seal import Seal
from dataward.pipeline.plan import Plan
from dataward.tables import delta
from dataward.tables.log import Newest
from dataward.tables.source import Pin, pin

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Earlier", "find", "no_stream_before", "pinned", "references", "same_rows", "same_verdicts"]

STREAMED = re.compile(r"stream-[0-9a-f-]{36}-\d{8,}")
"""Run ids of micro-batches (dataward.verbs.stream)."""


@dataclass(frozen=True)
class Earlier:
    """Results of an earlier attempt: its seal, or else the metadata of its first commit; neither where there was none."""

    seal: Seal | None = None
    metadata: dict[str, Any] | None = None


def find(spark: SparkSession, plan: Plan, run_id: str) -> Earlier:
    """Search a run ID in the ledger, then in the commits of target and quarantine.

    Raises:
        UsageError: the run began, or is sealed, under another text of the contract.
    """
    contract = plan.contract
    if sealed := ledger.find(contract.ledger_location, run_id, contract.target):
        _same_text(sealed.seal.contract_sha256, plan, run_id, "is sealed")
        return Earlier(seal=sealed.seal)
    for place in (contract.target, contract.quarantine_location):
        found = delta.find_run(spark, place, run_id) if place else None
        if found is not None:
            _same_text(found.metadata["contract_sha256"], plan, run_id, "began")
            return Earlier(metadata=found.metadata)
    return Earlier()


def _same_text(sha256: str, plan: Plan, run_id: str, what: str) -> None:
    if sha256 != plan.sha256:
        raise UsageError(f"run id '{run_id}' {what} under another text of this contract: give a new --run-id")


def pinned(
    spark: SparkSession, contract: Contract, run_id: str, earlier: dict[str, Any] | None, schema_only: bool = False
) -> tuple[Pin, dict[str, Pin]]:
    """Return the pinned source and references; for a rerun, at the versions that the run began with.

    Raises:
        SourceError: one of them cannot be read.
        SourceChanged: one of them has changed since.
    """
    began = earlier["source"] if earlier else None
    source = _held(spark, "source", contract.source, run_id, began, schema_only)
    return source, references(spark, contract, run_id, earlier)


def references(spark: SparkSession, contract: Contract, run_id: str, earlier: dict[str, Any] | None) -> dict[str, Pin]:
    """Return the pinned references alone, by alias."""
    began = earlier["references"] if earlier else {}
    places = contract.references.items()
    return {alias: _held(spark, f"reference '{alias}'", place, run_id, began.get(alias)) for alias, place in places}


def _held(
    spark: SparkSession, what: str, place: Source, run_id: str, began: dict[str, Any] | None, schema_only: bool = False
) -> Pin:
    found = pin(spark, place, began["version"] if began else None, schema_only)
    same_rows(what, found, run_id, began)
    return found


def same_rows(what: str, found: Pin, run_id: str, began: dict[str, Any] | None) -> None:
    """Raise SourceChanged where an earlier attempt of the run had another digest of what is read."""
    if began and began["sha256"] != found.digest:
        raise SourceChanged(
            f"{what} {found.source}: it is not what run '{run_id}' began with, so the run cannot be finished. Give a new "
            "--run-id to publish what is there now"
        )


def no_stream_before(spark: SparkSession, contract: Contract, present: Newest | None) -> None:
    """Raise UsageError if the target contains batches of a stream: appending the whole source would repeat their rows.

    ``present``: the target's newest version. An earlier run of this contract that was no batch has checked older commits.
    """
    target = contract.target
    if target.mode != "append" or present is None:
        return
    for commit in delta.commits(spark, target, 50, present):
        if STREAMED.fullmatch(str(commit.metadata.get("run_id"))):
            raise UsageError(
                f"{target}: version {commit.version} is a batch of a stream ({commit.metadata['run_id']}), and a publish without "
                "--stream would append all rows of the source again. Give --stream and the stream's checkpoint; or use mode "
                "merge, which adds no row twice"
            )
        if commit.metadata.get("mode") == "append" and "releases" not in commit.metadata:
            return


def same_verdicts(run_id: str, earlier: dict[str, Any] | None, verdicts: list[list[Any]]) -> None:
    """Raise SourceChanged where an earlier attempt judged (or repaired) the same source differently."""
    if earlier and earlier["verdicts_sha256"] != sha256(verdicts):
        raise SourceChanged(
            f"run '{run_id}' judged the same source differently before: a rule depends on more than the data. Give a new "
            "--run-id"
        )
