"""Attest a run's report in its seal: the digest of everything in it that is known before the seal."""

from __future__ import annotations

import hashlib
import json

from dataward.integrity.seal import SealedReport
from dataward.report import RunResult

__all__ = ["attests", "sealed_report"]

LATER = frozenset({"seconds", "phases", "parity", "seal", "report"})
"""Fields that are known only after the seal. The seal in a report is compared with the ledger's."""


def sealed_report(result: RunResult, without: frozenset[str] = frozenset()) -> SealedReport:
    """Return the attestation of a report; later warnings may follow.

    Args:
        result: the result of the run before it is sealed.
        without: further fields that the report will have in another form, such as statistics to which noise is added.
    """
    fields = tuple(sorted(RunResult.model_fields.keys() - LATER - without))
    warnings = len(result.warnings)
    return SealedReport(fields=fields, warnings=warnings, sha256=_digest(result, fields, warnings))


def attests(sealed: SealedReport, result: RunResult) -> bool:
    """Return whether a report says what the sealed one said."""
    return _digest(result, sealed.fields, sealed.warnings) == sealed.sha256


def _digest(result: RunResult, fields: tuple[str, ...], warnings: int) -> str:
    told = result.model_dump(mode="json", include=set(fields))
    told["warnings"] = told.get("warnings", [])[:warnings]
    # Statistics may be NaN, for which canonical JSON has no form; report.json has it as Python writes it.
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
