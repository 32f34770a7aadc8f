"""Discovery over a Spark frame: the workers count, the driver adds up and judges; no value comes to the driver."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from dataward.privacy.discover.columns import by_path
from dataward.privacy.discover.detector import Detector
from dataward.privacy.discover.detectors import DETECTORS
from dataward.privacy.discover.evidence import Evidence
from dataward.privacy.discover.scanner import scanner
from dataward.privacy.discover.score import Finding, judge_column
from dataward.spark.workers import without_delay

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

__all__ = ["discover_frame", "sample"]

PATHS = 1000
"""Paths of one table beyond which no more are looked at (keys of JSON that are data make no paths; see ``columns``)."""


def sample(frame: DataFrame, rows: int, total: int, seed: int = 0) -> DataFrame:
    """Return about ``rows`` rows of a frame that has ``total``, each with the same probability (Bernoulli)."""
    return frame if rows >= total else frame.sample(fraction=rows / total, seed=seed)


def discover_frame(frame: DataFrame, detectors: tuple[Detector, ...] = DETECTORS) -> list[Finding]:
    """Find the class of every column and path of a frame, in their order; one job, one pass."""
    # mapInArrow takes no column whose name holds a dot or a backtick: there they go by number.
    numbered = frame.toDF(*(f"c{number}" for number in range(len(frame.columns))))
    looking = _on_workers(frame.columns, detectors)
    rows = numbered.mapInArrow(without_delay(looking), "number int, path string, evidence string").collect()
    counted: dict[tuple[int, str], Evidence] = {}
    for row in rows:
        counted.setdefault((row["number"], row["path"]), Evidence()).add(Evidence.of_data(json.loads(row["evidence"])))
    paths = [path for _, path in counted]
    return [judge_column(place[1], counted[place], detectors, paths) for place in sorted(counted)]


def _on_workers(
    names: list[str], detectors: tuple[Detector, ...]
) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa

        scanning, counted = scanner(detectors), dict[tuple[int, str], Evidence]()
        for batch in batches:
            for number, name in enumerate(names):
                for path, values in by_path(pa.RecordBatch.from_arrays([batch.column(number)], [name])):
                    place = (number, path)
                    if place in counted or len(counted) < PATHS:
                        counted.setdefault(place, Evidence()).add(scanning.look_at(values))
        lines = [json.dumps(evidence.as_data()) for evidence in counted.values()]
        numbers, paths = [number for number, _ in counted], [path for _, path in counted]
        yield pa.RecordBatch.from_arrays(
            [pa.array(numbers, pa.int32()), pa.array(paths, pa.string()), pa.array(lines, pa.string())],
            names=["number", "path", "evidence"],
        )

    return run
