"""Metrics of a private table: reports, history and profiles have no exact numbers; a release of each version replaces them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dataward.contract import Contract
from dataward.errors import DatawardError
from dataward.pipeline.intake.base import Judged
from dataward.pipeline.paid import Released, answer
from dataward.quality.judge import Judgement
from dataward.release.query import Query
from dataward.report import RunResult
from dataward.spark.session import isolated
from dataward.tables import delta

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["metrics_query", "quieted", "with_metrics"]

AT = (0.05, 0.25, 0.5, 0.75, 0.95)
BINS = 10


def quieted(contract: Contract, judged: Judged) -> Judged:
    """Return verdicts without their measured numbers, where a contract's metrics are private.

    Whether a rule passed is kept, because it decides whether the run continues.
    """
    if contract.metrics != "private":
        return judged
    before = judged.mended.before
    mended = replace(judged.mended, before=before and _quiet(before))
    return replace(judged, judgement=_quiet(judged.judgement), mended=mended)


def _quiet(judgement: Judgement) -> Judgement:
    verdicts = (replace(one, measured=None, failed_rows=None, message="") for one in judgement.verdicts)
    return replace(judgement, verdicts=tuple(verdicts), statistics=())


def metrics_query(contract: Contract, version: int) -> Query:
    """Return the query for the metrics of a published version."""
    wanted = contract.private_metrics
    assert wanted is not None  # noqa: S101 - the contract demands it
    answers: list[Any] = ["count", *({"count_distinct": name} for name in wanted.distinct)]
    for name, (low, high) in wanted.between.items():
        edges = [low + (high - low) * n / BINS for n in range(BINS)] + [high]
        answers += [
            {"mean": {"column": name, "between": [low, high]}},
            {"quantiles": {"column": name, "between": [low, high], "at": AT}},
            {"histogram": {"column": name, "edges": edges}},
        ]
    return Query.model_validate(
        {
            "release": contract.contract,
            "source": {**_place(contract.target), "version": version, "ledger": contract.ledger_location},
            "unit": wanted.unit,
            "bounds": None if wanted.unit == "row" else {"rows_per_unit": wanted.rows_per_unit},
            "answers": answers,
            "spend": {"epsilon": wanted.epsilon, "delta": wanted.delta, "from": wanted.from_},
            "target": _place(contract.target.beside("metrics")),
            "keys": contract.keys,
        }
    )


def _place(location: Any) -> dict[str, Any]:
    return {"path": location.path} if location.path is not None else {"table": location.table}


def with_metrics(spark: SparkSession, contract: Contract, found: RunResult, say: Callable[[str], None]) -> RunResult:
    """Release the metrics of a published version, once, and add them to the report's statistics.

    A failed release, for example because of a spent budget, is a warning: the version is already published.
    """
    version = found.target.version
    if contract.metrics != "private" or found.status == "stopped" or version is None:
        return found
    try:
        done = answer(spark, metrics_query(contract, version), f"{found.run_id}-metrics", say)
    except DatawardError as error:
        return found.model_copy(update={"warnings": [*found.warnings, f"metrics are not released: {error}"]})
    with isolated(spark) as own:
        row = delta.read(own, contract.target.beside("metrics"), done.version).first()
    statistics = _statistics(row.asDict() if row else {}, done)
    return found.model_copy(update={"statistics": statistics})


def _statistics(row: dict[str, Any], done: Released) -> list[dict[str, Any]]:
    """Return an answer's numbers as a report's statistics."""
    how = f"epsilon {done.cost.epsilon:g}"
    statistics = []
    for name, value in row.items():
        if name.endswith(("_low", "_high")):
            continue
        low, high = row[f"{name}_low"], row[f"{name}_high"]
        values = zip(value, low, high, strict=True) if isinstance(value, list) else [(value, low, high)]
        for number, (one, least, most) in enumerate(values):
            place = (
                f" {AT[number]:g}"
                if name.startswith("quantiles")
                else f" bin {number}"
                if isinstance(value, list)
                else ""
            )
            statistics.append(
                {"analyzer": f"{name}{place}", "metric": "released", "columns": [], "measured": float(one),
                 "message": f"{how}; 95% interval {least:.6g} to {most:.6g}"}
            )  # fmt: skip
    return statistics
