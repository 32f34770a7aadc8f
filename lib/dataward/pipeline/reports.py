"""Reports of runs: written once before the seal that attests them, so that a killed run has one as well, and completed after it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from dataward import report
from dataward.errors import TargetError
from dataward.integrity.reported import attests
from dataward.integrity.seal import SealedReport
from dataward.pipeline.context import Context
from dataward.pipeline.facts import Facts, result
from dataward.report import RunResult
from dataward.report.html import page as drawn

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["completed", "write_before_seal", "write_last"]


def write_before_seal(ctx: Context, facts: Facts, folder: str) -> None:
    """Write what the seal will attest; a folder that cannot be written is reported after the seal."""
    found = result(ctx, "published", facts)
    if ctx.contract.metrics == "private":  # exact statistics are in no report
        found = found.model_copy(update={"statistics": []})
    with suppress(TargetError):
        report.write(ctx.spark, found, folder)


def write_last(spark: SparkSession, found: RunResult, folder: str) -> RunResult:
    """Write the report of a finished run; of a run that was sealed before, what a killed attempt left is completed.

    Raises:
        TargetError: the folder cannot be written; it names the outcome of the run.
    """
    if found.status == "unchanged" and found.seal:
        place = report.place(found, folder)
        whole = completed(found, place)
        if whole is not None:
            with suppress(TargetError):  # the report before the seal stays
                report.write(spark, whole, folder)
        return found.model_copy(update={"report": place})
    try:
        return report.write(spark, found, folder)
    except TargetError as error:
        raise TargetError(f"{_outcome(found)} Only its report is missing: {error}") from None


def completed(found: RunResult, place: str) -> RunResult | None:
    """Return the report of an attempt that was killed after its seal, with the seal; None where nothing has to be written.

    Only reports on this machine are completed: a publisher may have no right to read those of a bucket.

    Args:
        found: the result of the rerun, with the seal.
        place: path of the report's page.
    """
    data, seal = Path(place).with_suffix(".json"), found.seal or {}
    if report.is_remote(place) or not data.exists() or not seal.get("reported"):
        return None
    with suppress(OSError, ValidationError):
        left = RunResult.model_validate_json(data.read_bytes())
        if attests(SealedReport.model_validate(seal["reported"]), left) and _unfinished(left, seal, Path(place)):
            warnings = dict.fromkeys([*left.warnings, *found.warnings])
            statistics = left.statistics or found.statistics  # noisy ones are released after the seal
            return left.model_copy(update={"seal": seal, "warnings": list(warnings), "statistics": statistics})
    return None


def _unfinished(left: RunResult, seal: dict[str, object], page: Path) -> bool:
    """Return whether a run was killed before both files of its report had the seal."""
    if left.seal is None:
        return True
    return left.seal == seal and (not page.exists() or page.read_bytes() != drawn(left).encode())


def _outcome(found: RunResult) -> str:
    """Return the outcome of a run, for an error after all of its writes."""
    if found.status == "published":
        return f"{found.target.path} version {found.target.version} is published and sealed by run {found.run_id}."
    return f"The run {found.run_id} ended ({found.status}): nothing was published."
