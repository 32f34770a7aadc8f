"""OpenLineage events about runs (https://openlineage.io/spec): what was read and written, which assertions held, what masks.

A run is one event: ``COMPLETE`` for a published version, ``ABORT`` for a run that published nothing. The same run always gives the
same event ID, so that consumers recognise a repeated event.
"""

from __future__ import annotations

import os
import uuid
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataward.contract import Contract, Lineage, Location, Source
from dataward.contract.outside import dataset_of
from dataward.contract.places import split_path
from dataward.errors import UsageError
from dataward.report.model import RunResult

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent

__all__ = ["event", "require", "send"]

PRODUCER = "urn:dataward"
RETRY = {
    "total": 3,
    "backoff_factor": 0.3,
    "status_forcelist": [500, 502, 503, 504],
    "allowed_methods": ["POST"],
}
"""Three more attempts within about two seconds: the run waits for them."""
OUTCOMES = {"PASSED": True, "FAILED": False, "ERRORED": False}  # a skipped rule asserts nothing


def require(lineage: Lineage) -> None:
    """Check that events can be made.

    Raises:
        UsageError: the package ``openlineage-python``, or the variable with the endpoint's token, is missing.
    """
    if find_spec("openlineage") is None:
        raise UsageError("'lineage' needs openlineage-python: pip install 'dataward[lineage]'")
    if lineage.token_from and not os.environ.get(lineage.token_from):
        raise UsageError(
            f"lineage.token_from: the environment variable {lineage.token_from} is empty or not set. Set it"
        )


def event(contract: Contract, result: RunResult, time: str) -> RunEvent:
    """Return the event of a run.

    Args:
        contract: the contract that was carried out.
        result: the result of the run.
        time: time of the event (ISO 8601).

    The package ``openlineage-python`` must be there: see :func:`require`.
    """
    from openlineage.client import event_v2 as events

    namespace = contract.lineage.namespace if contract.lineage else "dataward"
    published = result.target.version is not None and result.status != "stopped"
    source = _name(contract.source, namespace)
    run_id = uuid.uuid5(uuid.NAMESPACE_URL, f"{PRODUCER}/{contract.contract}/{result.run_id}")
    read = (result.seal or {}).get("references", {})
    references = [(place, read.get(alias, {}).get("version")) for alias, place in contract.references.items()]
    return events.RunEvent(
        eventTime=time,
        eventType=events.RunState.COMPLETE if published else events.RunState.ABORT,
        run=events.Run(str(run_id), facets=_run_facets(result)),
        job=events.Job(namespace, contract.contract),
        inputs=[
            events.InputDataset(*source, facets=_version(result.source["version"]), inputFacets=_assertions(result)),
            *(events.InputDataset(*_name(place, namespace), facets=_version(version)) for place, version in references),
        ],
        outputs=[_output(contract, result, source)] if published else [],
        producer=PRODUCER,
    )


def send(lineage: Lineage, run_event: RunEvent) -> None:
    """Append an event to a file, or post it to an endpoint.

    Raises:
        Exception: of any kind, where the file or the endpoint does not take the event.
    """
    from openlineage.client.transport.file import FileConfig, FileTransport
    from openlineage.client.transport.http import ApiKeyTokenProvider, HttpConfig, HttpTransport

    if lineage.url is None:
        path = Path(str(lineage.file))
        path.parent.mkdir(parents=True, exist_ok=True)
        FileTransport(FileConfig(log_file_path=str(path), append=True)).emit(run_event)
        return
    more: dict[str, Any] = {}
    if lineage.token_from:
        more["auth"] = ApiKeyTokenProvider({"apiKey": os.environ[lineage.token_from]})
    HttpTransport(HttpConfig(url=lineage.url, retry=RETRY, **more)).emit(run_event)


def _name(place: Location, namespace: str) -> tuple[str, str]:
    """Return namespace and name of a dataset, as OpenLineage's naming has them."""
    if isinstance(place, Source) and place.is_outside:
        return dataset_of(place.format, place.table, place.options) or (namespace, "dataframe")
    if place.path is None:
        return namespace, place.plain_name
    scheme, rest = split_path(place.path)
    if not scheme:
        return "file", str(Path(rest).absolute())
    authority, _, path = rest.partition("/")
    return f"{scheme}://{authority}", path.strip("/") or "/"


def _version(version: int | None) -> dict[str, Any]:
    from openlineage.client.generated.dataset_version_dataset import DatasetVersionDatasetFacet

    return {} if version is None else {"version": DatasetVersionDatasetFacet(str(version))}


def _run_facets(result: RunResult) -> dict[str, Any]:
    from openlineage.client.generated.error_message_run import ErrorMessageRunFacet
    from openlineage.client.generated.processing_engine_run import ProcessingEngineRunFacet

    version = (files("dataward") / "VERSION").read_text(encoding="utf-8").strip()
    facets: dict[str, Any] = {"processing_engine": ProcessingEngineRunFacet(version=version, name="dataward")}
    if result.reasons:
        facets["errorMessage"] = ErrorMessageRunFacet("; ".join(result.reasons), "DQDL")
    return facets


def _assertions(result: RunResult) -> dict[str, Any]:
    """Return the verdicts about the source, without measured values of the data."""
    from openlineage.client.generated import data_quality_assertions_dataset as facet

    assertions = [
        facet.Assertion(
            assertion=verdict["kind"],
            success=OUTCOMES[verdict["outcome"]],
            severity="warn" if verdict["action"] == "warn" else "error",
            name=verdict["rule"],
            expected=verdict["expected"],
            content=verdict["rule"],
            contentType="expression",
        )
        for verdict in result.verdicts
        if verdict["outcome"] in OUTCOMES
    ]
    return {"dataQualityAssertions": facet.DataQualityAssertionsDatasetFacet(assertions)} if assertions else {}


def _output(contract: Contract, result: RunResult, source: tuple[str, str]) -> Any:
    from openlineage.client import event_v2 as events
    from openlineage.client.generated import column_lineage_dataset as facet
    from openlineage.client.generated.output_statistics_output_dataset import OutputStatisticsOutputDatasetFacet

    namespace = contract.lineage.namespace if contract.lineage else "dataward"
    columns = {}
    for protection in result.protections:
        if protection["stage"] == "dropped":
            continue
        kept = protection["stage"] == "kept"
        change = facet.Transformation(
            "DIRECT",
            "IDENTITY" if kept else "TRANSFORMATION",
            None if kept else protection["protection"],
            masking=not kept,
        )
        columns[protection["column"]] = facet.Fields([facet.InputField(*source, protection["column"], [change])])
    facets = {**_version(result.target.version), "columnLineage": facet.ColumnLineageDatasetFacet(columns)}
    statistics: dict[str, Any] = {
        "outputStatistics": OutputStatisticsOutputDatasetFacet(rowCount=result.rows["published"])
    }
    return events.OutputDataset(*_name(contract.target, namespace), facets=facets, outputFacets=statistics)
