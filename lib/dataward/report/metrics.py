"""Measurements of a run for monitoring systems: numbers, names of contracts, phases and rule kinds; no value of any row."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dataward.report.model import RunResult

__all__ = ["Measurement", "emf", "measurements"]

NAMESPACE = "Dataward"


@dataclass(frozen=True)
class Measurement:
    """One number with its unit (CloudWatch's name) and the dimensions that distinguish it."""

    name: str
    value: float
    unit: str = "Count"
    dimensions: tuple[tuple[str, str], ...] = field(default=())


def measurements(result: RunResult) -> list[Measurement]:
    """Return what a run measured: rows, shares, verdicts, duration, and the seconds of every phase."""
    rows, outcomes = result.rows, Counter(verdict["outcome"] for verdict in result.verdicts)
    contract = (("Contract", result.contract),)
    counts = {
        "RowsIn": rows["in"],
        "RowsPublished": rows["published"],
        "RowsQuarantined": rows["quarantined"],
        "RowsDropped": rows["dropped"],
        "RulesPassed": outcomes["PASSED"],
        "RulesFailed": outcomes["FAILED"] + outcomes["ERRORED"],
        "Warnings": len(result.warnings),
        "RunsPublished": int(result.status == "published"),
        "RunsStopped": int(result.status == "stopped"),
    }
    found = [Measurement(name, count, "Count", contract) for name, count in counts.items()]
    share = 100 * (rows["in"] - rows["published"]) / rows["in"] if rows["in"] and result.status == "published" else 0.0
    found.append(Measurement("RowsWithheld", round(share, 4), "Percent", contract))
    found.append(Measurement("Duration", result.seconds, "Seconds", contract))
    for phase in result.phases:
        found.append(Measurement("PhaseDuration", phase.seconds, "Seconds", (*contract, ("Phase", phase.name))))
    return found


def emf(result: RunResult) -> list[dict[str, Any]]:
    """Return the measurements as documents in CloudWatch's Embedded Metric Format, one for each set of dimensions."""
    ended = datetime.fromisoformat(result.started).timestamp() + result.seconds
    by_dimensions: dict[tuple[tuple[str, str], ...], list[Measurement]] = {}
    for found in measurements(result):
        by_dimensions.setdefault(found.dimensions, []).append(found)
    return [
        {
            "_aws": {
                "Timestamp": int(ended * 1000),
                "CloudWatchMetrics": [
                    {
                        "Namespace": NAMESPACE,
                        "Dimensions": [[name for name, _ in dimensions]],
                        "Metrics": [{"Name": found.name, "Unit": found.unit} for found in group],
                    }
                ],
            },
            **dict(dimensions),
            "RunId": result.run_id,
            "Status": result.status,
            **{found.name: found.value for found in group},
        }
        for dimensions, group in by_dimensions.items()
    ]
