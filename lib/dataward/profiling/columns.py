"""Sketch all columns of a frame, or of each of its parts, in one pass, and add the sketches of parts."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from dataward.keys.box import Box
from dataward.privacy.discover.columns import by_path
from dataward.privacy.discover.detector import Detector
from dataward.privacy.discover.evidence import Evidence
from dataward.privacy.discover.scanner import scanner
from dataward.profiling.sketch import Sketch, kind_of
from dataward.profiling.together import Together
from dataward.quality.metrics import NUMERIC
from dataward.spark.kind import parallelism
from dataward.spark.sql import identifier
from dataward.spark.workers import batch_of, without_delay

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructField

__all__ = ["KEPT", "Seen", "kept", "seen", "whole"]

FIRST = 1000  # random rows of a task's first Arrow batch that are scanned for sensitive data and correlated
LATER = 200  # random rows of each later batch
NUMBERS = 300  # numeric columns that are correlated with each other
OTHERS = ("boolean", "date", "timestamp", "timestamp_ntz")
"""Types besides numbers and texts that a sketch accepts."""
STATES = "part string, number int, path string, what string, state binary"
KEPT = "part string, number int, state binary"
WHOLE = "''"  # SQL of the only part of a frame without parts


@dataclass
class Seen:
    """State of a profile.

    Attributes:
        sketches: sketch of each column, by its number.
        evidence: evidence of sensitive data, by column and path.
        numbers: numbers of the columns that are correlated.
        together: partial sums of their correlations.
    """

    sketches: dict[int, Sketch] = field(default_factory=dict)
    evidence: dict[tuple[int, str], Evidence] = field(default_factory=dict)
    numbers: list[int] = field(default_factory=list)
    together: Together | None = None


def seen(frame: DataFrame, detectors: tuple[Detector, ...]) -> Seen:
    """Sketch all columns of a frame; there are no sketches of a frame without rows."""
    numbers = [n for n, column in enumerate(frame.schema.fields) if column.dataType.typeName() in NUMERIC][:NUMBERS]
    result = Seen(numbers=numbers)
    for row in _states(frame, None, detectors, numbers).collect():
        state = pickle.loads(row.state)  # noqa: S301 - written by our own workers a moment ago
        if row.what == "sketch":
            result.sketches[row.number] = state
        elif row.what == "together":
            result.together = state
        else:
            result.evidence[row.number, row.path] = Evidence.of_data(state)
    return result


def kept(frame: DataFrame, part: str, box: Box) -> DataFrame:
    """Return the encrypted sketches of each part of a frame, one row per part and column (:data:`KEPT`).

    ``part`` is SQL of a text that identifies the part of a row.
    """
    names = [(column.name, column.dataType.simpleString()) for column in frame.schema.fields]

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for row in batch.to_pylist():
                part, number = row["part"], row["number"]
                sketch = pickle.loads(row["state"])  # noqa: S301 - from our own workers
                data = json.dumps([*names[number], sketch.as_data()]).encode()
                yield batch_of([(part, number, box.shut(data, _place(part, number)))], KEPT)

    return _states(frame, part, (), []).mapInArrow(without_delay(run), KEPT)


def whole(states: DataFrame, box: Box) -> list[tuple[str, str, Sketch]]:
    """Add the sketches of :func:`kept`; returns name, type and sketch of each column. Runs one Spark job of two stages."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        sketches: dict[int, Sketch] = {}
        names: dict[int, tuple[str, str]] = {}
        for batch in batches:
            for row in batch.to_pylist():
                number = row["number"]
                name, kind, sketch = json.loads(box.open(row["state"], _place(row["part"], number)))
                names[number] = name, kind
                _plus(sketches, number, Sketch.of_data(sketch))
        merged = [("", number, pickle.dumps((*names[number], sketch))) for number, sketch in sketches.items()]
        yield batch_of(merged, KEPT)

    rows = states.repartition(_spread(states), "number").mapInArrow(without_delay(run), KEPT).collect()
    return [pickle.loads(row.state) for row in sorted(rows)]  # noqa: S301 - written by our own workers a moment ago


def _place(part: str, number: int) -> str:
    return f"sketch {number} of {part}"


def _spread(frame: DataFrame) -> int:
    return 4 * parallelism(frame.sparkSession)


def _states(frame: DataFrame, part: str | None, detectors: tuple[Detector, ...], numbers: list[int]) -> DataFrame:
    fields = frame.schema.fields
    plain = [_plain(column) for column in fields]
    texts = [n for n, column in enumerate(fields) if column.dataType.typeName() not in (*NUMERIC, *OTHERS)]
    numbered = frame.selectExpr(  # named by number: mapInArrow does not accept names with a dot
        f"{part or WHOLE} as part",
        *(f"{sql} as c{n}" for n, sql in enumerate(plain)),
        *(f"xxhash64({plain[n]}) as h{n}" for n in texts),
    )
    states = numbered.mapInArrow(without_delay(_sketching(detectors, numbers, texts)), STATES)
    spread = _spread(frame) if part else max(1, min(len(fields), _spread(frame)))
    return states.repartition(spread, "part", "number").mapInArrow(without_delay(_merging), STATES)


def _plain(column: StructField) -> str:
    """Return SQL of a column as a type that a sketch accepts."""
    name, kind = identifier(column.name), column.dataType.typeName()
    if kind == "decimal":
        name = f"cast({name} as double)"
    elif kind in ("struct", "array", "map"):
        name = f"to_json({name})"
    elif kind == "binary":
        name = f"hex({name})"
    elif kind not in (*NUMERIC, *OTHERS, "string"):
        name = f"cast({name} as string)"
    return name


def _sketching(
    detectors: tuple[Detector, ...], numbers: list[int], texts: list[int]
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Return a function for ``mapInArrow`` from rows to the states of one task (:data:`STATES`)."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import TaskContext

        context = TaskContext.get()
        draw = np.random.default_rng(context.partitionId() if context else 0)
        scanning, parts = scanner(detectors) if detectors else None, dict[str, Seen]()
        for batch in batches:
            for part, rows in _by_part(batch):
                columns = rows[: len(rows) - len(texts)]
                hashes = dict(zip(texts, rows[len(columns) :], strict=True))
                mine = parts.setdefault(part, Seen())
                for number, values in enumerate(columns):
                    sketch = mine.sketches.setdefault(number, Sketch(kind_of(values.type)))
                    sketch.look_at(values, hashes.get(number))
                if scanning:
                    _look_closely(mine, columns, scanning, numbers, draw)
        yield batch_of([state for part, mine in parts.items() for state in _rows_of(part, mine)], STATES)

    return run


def _by_part(batch: pa.RecordBatch) -> Iterator[tuple[str, list[pa.Array]]]:
    """Yield (part, the further columns of its rows)."""
    import pyarrow.compute as pc

    parts, *columns = batch.columns
    names = pc.unique(parts).to_pylist()
    if len(names) == 1:
        yield names[0], columns
        return
    for name in names:
        here = pc.equal(parts, name)
        yield name, [column.filter(here) for column in columns]


def _look_closely(mine: Seen, columns: list[pa.Array], scanning: Any, numbers: list[int], draw: Any) -> None:
    """Scan random rows for sensitive data, and correlate their numbers."""
    import pyarrow as pa

    count = len(columns[0]) if columns else 0
    size = min(count, FIRST if mine.together is None else LATER)
    chosen = pa.array(draw.choice(count, size, replace=False))
    rows = [values.take(chosen) for values in columns]
    for number, values in enumerate(rows):
        for path, leaves in by_path(pa.RecordBatch.from_arrays([values], [""])):
            mine.evidence.setdefault((number, path), Evidence()).add(scanning.look_at(leaves))
    matrix = [rows[n].cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False) for n in numbers]
    sums = Together.of(np.array(matrix, dtype=float).reshape(len(numbers), size).T)
    mine.together = sums if mine.together is None else mine.together.plus(sums)


def _rows_of(part: str, mine: Seen) -> Iterator[tuple[str, int, str, str, bytes]]:
    """Yield a state as rows of :data:`STATES`."""
    for number, sketch in mine.sketches.items():
        yield part, number, "", "sketch", pickle.dumps(sketch)
    for (number, path), evidence in mine.evidence.items():
        yield part, number, path, "evidence", pickle.dumps(evidence.as_data())
    if mine.together is not None:
        yield part, -1, "", "together", pickle.dumps(mine.together)


def _merging(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Add the states of each part and column, on a worker."""
    parts: dict[str, Seen] = {}
    for batch in batches:
        for row in batch.to_pylist():
            state = pickle.loads(row["state"])  # noqa: S301 - from our own workers
            mine = parts.setdefault(row["part"], Seen())
            if row["what"] == "together":
                mine.together = state if mine.together is None else mine.together.plus(state)
            elif row["what"] == "sketch":
                _plus(mine.sketches, row["number"], state)
            else:
                mine.evidence.setdefault((row["number"], row["path"]), Evidence()).add(Evidence.of_data(state))
    yield batch_of([state for part, mine in parts.items() for state in _rows_of(part, mine)], STATES)


def _plus(sketches: dict[int, Sketch], number: int, sketch: Sketch) -> None:
    if number in sketches:
        sketches[number].add(sketch)
    else:
        sketches[number] = sketch
