"""Send OpenLineage events about runs."""

from __future__ import annotations

from datetime import datetime, timezone

from dataward.pipeline.context import Asked
from dataward.report import RunResult, openlineage
from dataward.tables.reason import reason

__all__ = ["with_event"]


def with_event(asked: Asked, found: RunResult) -> RunResult:
    """Send a run's event if the contract asks for it; on failure, the returned result has a warning."""
    contract = asked.plan.contract
    if contract.lineage is None:
        return found
    try:
        openlineage.send(contract.lineage, openlineage.event(contract, found, datetime.now(timezone.utc).isoformat()))
    except Exception as error:
        to = contract.lineage.url or contract.lineage.file
        warning = f"lineage: {to} did not take the event of the run ({reason(error)}); a rerun with --run-id {found.run_id} sends it"
        asked.progress(f"  {warning}")
        return found.model_copy(update={"warnings": [*found.warnings, warning]})
    return found
