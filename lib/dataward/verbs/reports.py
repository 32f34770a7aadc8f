"""Compare a run's report with the seal of its version."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from pydantic import ValidationError

from dataward.integrity.canonical import canonical
from dataward.integrity.findings import Finding, fail, note
from dataward.integrity.reported import attests
from dataward.integrity.seal import code_version
from dataward.report import RunResult
from dataward.report.html import page
from dataward.tables.deltalog.folder import Missing, folder

if TYPE_CHECKING:
    from dataward.integrity.seal import Seal

__all__ = ["check_report"]

SHARED = ("verdicts", "verdicts_before", "verdicts_after", "repairs", "protections", "joins", "rows", "references")
"""Fields that both a report and its seal have; times and phases are only in the report."""


ERASED = b"[erased]"
"""What an erasure writes in the place of a person's values."""


def check_report(
    reports: str, contract: str, seal: Seal, erasures: Callable[[], bool] = lambda: False
) -> Iterator[Finding]:
    """Yield a finding where the report differs from the seal, or its page from its data.

    Args:
        reports: the folder of reports.
        contract: name of the contract.
        seal: the seal of the run.
        erasures: returns whether the ledger records an erasure, which removes values from reports.
    """
    place = PurePosixPath(contract) / seal.run_id
    where = folder(reports)
    try:
        data, html = where.read(f"{place}/report.json"), where.read(f"{place}/report.html")
    except Missing as error:
        yield from _missing(seal, str(error))
        return
    erased = (ERASED in data or ERASED in html) and erasures()
    if erased:
        yield note("report-erased", str(place))
    try:
        result = RunResult.model_validate_json(data)
    except ValidationError:
        if not erased:
            yield fail("report-changed", f"{place}/report.json", "it is no report")
        return
    reported, sealed = result.model_dump(mode="json"), seal.model_dump(mode="json")
    differing = [
        name for name in SHARED if name in reported and name in sealed and not _same(reported[name], sealed[name])
    ]
    inside = reported.get("seal") or {}
    differing += [f"seal.{name}" for name in inside if name in sealed and not _same(inside[name], sealed[name])]
    if (result.run_id, result.contract) != (seal.run_id, seal.contract):
        differing.append("run_id")
    if not erased and seal.reported and not attests(seal.reported, result):
        differing.append("its digest")
    if differing:
        yield fail("report-changed", f"{place}/report.json", f"it differs from the seal in {', '.join(differing)}")
    if erased or _drawn(result) == html:
        return
    if seal.code == code_version():
        yield fail("report-changed", f"{place}/report.html", "it is not the page that is drawn from report.json")
    else:
        yield note("report-page-unproven", f"{place}/report.html")


def _missing(seal: Seal, file: str) -> Iterator[Finding]:
    """Yield a note; erasures, rotations and restorations have no report."""
    if seal.reported or seal.verdicts:
        yield note("report-missing", file)


def _drawn(result: RunResult) -> bytes | None:
    """Return the page of a report; None where none can be drawn, as parts of the report were taken out."""
    with suppress(Exception):  # a template's error may be of any type
        return page(result).encode()
    return None


def _same(one: object, other: object) -> bool:
    return canonical(one) == canonical(other)
