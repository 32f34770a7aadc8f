"""What a table holds, column by column, in at most two passes whatever their number; and how it differs from an earlier profile.

The first pass sketches every column, correlates the numbers of some random rows, and looks at the same rows for what is
sensitive; the second counts exactly how many values are unique where a column may be a key. No value of a column that
looks sensitive is told.
"""

from __future__ import annotations

import dataclasses
import json
import math
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dataward import report
from dataward.contract import CustomDetector, Source
from dataward.errors import SourceError, UsageError
from dataward.privacy.discover.columns import by_path
from dataward.privacy.discover.custom import with_custom
from dataward.privacy.discover.detector import Detector
from dataward.privacy.discover.evidence import Evidence
from dataward.privacy.discover.scanner import scanner
from dataward.privacy.discover.score import judge_column
from dataward.quality.engines import spark as engine
from dataward.quality.metrics import NUMERIC, Metric
from dataward.quality.profile.column import Bin, ColumnProfile, Frequent, Lengths, told
from dataward.quality.profile.drift import Drift, drifts
from dataward.quality.profile.sketch import Sketch, kind_of
from dataward.quality.profile.together import Together
from dataward.session import isolated
from dataward.sql import identifier
from dataward.tables.reason import reason
from dataward.tables.source import MALFORMED, pin

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructField

__all__ = ["Correlation", "Profile", "compared", "html", "profile", "profiled", "read"]

FIRST = 1000  # random rows of a task's first Arrow batch that are looked at closely
LATER = 200  # and of each later one
KEYS = 32  # columns that are counted exactly because they may be keys
ALMOST = 0.9  # of the rows: with fewer distinct values by the sketch a column is no key
CORRELATED = 0.3  # weaker correlations are not told
NUMBERS = 300  # columns of numbers that are correlated with each other
OTHERS = (
    "boolean",
    "date",
    "timestamp",
    "timestamp_ntz",
)  # types beside numbers and texts that a sketch takes as they are
STATES = "number int, path string, what string, state binary"


@dataclass(frozen=True)
class Correlation:
    """Pearson's, of two columns of numbers over ``rows`` random rows in which both have one."""

    one: str
    other: str
    value: float
    rows: int


@dataclass(frozen=True)
class Profile:
    """One table. ``share`` of its rows were looked at (1: all); ``error`` is by how much a share told of a sample may be off,
    at 95 % (Dvoretzky, Kiefer & Wolfowitz, with Massart's constant: sqrt(ln(2 / 0.05) / (2 n))); distinct counts are then
    those of the sample, lower bounds."""

    source: str
    rows: int
    columns: tuple[ColumnProfile, ...]
    correlations: tuple[Correlation, ...] = ()
    share: float = 1.0
    error: float = 0.0

    def as_data(self) -> dict[str, Any]:
        """As ``--json`` prints it, and as :func:`read` reads it."""
        return {"dataward_profile": 1, **dataclasses.asdict(self)}


def profile(
    spark: SparkSession, source: Source, share: float = 1.0, custom: Mapping[str, CustomDetector] | None = None
) -> Profile:
    """Look at one table: a job that sketches, and one that counts keys where there may be some.

    Raises:
        SourceError: it cannot be read.
    """
    detectors = with_custom(custom or {})
    with isolated(spark) as own:
        pinned = pin(own, source)
        frame = pinned.frame.drop(MALFORMED)
        drawn = frame if share == 1 else frame.sample(fraction=share, seed=0)
        try:
            columns, correlations = profiled(drawn, detectors, keys=share == 1)
        except Exception as error:
            raise SourceError(f"source {source}: {reason(error)}") from None
    rows = columns[0].rows if columns else 0
    off = math.sqrt(math.log(2 / 0.05) / (2 * rows)) if share < 1 and rows else 0.0
    return Profile(pinned.described, rows, columns, correlations, share, off)


def profiled(
    frame: DataFrame, detectors: tuple[Detector, ...], keys: bool
) -> tuple[tuple[ColumnProfile, ...], tuple[Correlation, ...]]:
    """What a frame holds; columns that look sensitive without values. ``keys``: whether keys are looked for."""
    sketches, together, classes = _sketched(frame, detectors)
    columns = [
        told(field.name, field.dataType.simpleString(), sketch)
        for field, sketch in zip(frame.schema.fields, sketches, strict=True)
    ]
    columns = _counted(frame, columns) if keys else columns
    shown = (column.hidden(classes[n]) if n in classes else column for n, column in enumerate(columns))
    return tuple(shown), tuple(_correlations(together, [column.name for column in columns]))


# the first pass


def _sketched(
    frame: DataFrame, detectors: tuple[Detector, ...]
) -> tuple[list[Sketch], tuple[list[int], Together] | None, dict[int, str]]:
    """A sketch of each column; the numbers' correlations; and of each column that looks sensitive what it holds."""
    fields = frame.schema.fields
    told = [_plain(field) for field in fields]
    texts = [n for n, field in enumerate(fields) if field.dataType.typeName() not in (*NUMERIC, *OTHERS)]
    plain = frame.selectExpr(  # by number: mapInArrow takes no name that holds a dot
        *(f"{sql} as c{n}" for n, sql in enumerate(told)), *(f"xxhash64({told[n]}) as h{n}" for n in texts)
    )
    numbers = [n for n, field in enumerate(fields) if field.dataType.typeName() in NUMERIC][:NUMBERS]
    spread = max(1, min(len(fields), 4 * frame.sparkSession.sparkContext.defaultParallelism))
    states = plain.mapInArrow(_sketching(detectors, numbers, texts), STATES)
    merged = states.repartition(spread, "number").mapInArrow(_merging, STATES)
    sketches: dict[int, Sketch] = {}
    evidence: dict[int, dict[str, Evidence]] = {}
    together = None
    for row in merged.collect():
        state = pickle.loads(row["state"])  # noqa: S301 - written by our own workers a moment ago
        if row["what"] == "sketch":
            sketches[row["number"]] = state
        elif row["what"] == "together":
            together = (numbers, state)
        else:
            evidence.setdefault(row["number"], {})[row["path"]] = Evidence.of_data(state)
    classes = {}
    for number, paths in evidence.items():
        below = [judge_column(fields[number].name + path, found, detectors) for path, found in paths.items()]
        sensitive = [one.class_ or one.inside[0][0] for one in below if one.sensitive]
        if sensitive:
            classes[number] = str(sensitive[0])
    return (
        [sketches[n] for n in range(len(fields))] if sketches else [Sketch("text") for _ in fields],
        together,
        classes,
    )


def _plain(field: StructField) -> str:
    """A column as one that a sketch takes."""
    name, kind = identifier(field.name), field.dataType.typeName()
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
    """On a worker: the sketches of one partition."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        from pyspark import TaskContext

        context = TaskContext.get()
        draw = np.random.default_rng(context.partitionId() if context else 0)
        scanning, sketches = scanner(detectors), list[Sketch]()
        evidence: dict[tuple[int, str], Evidence] = {}
        together: Together | None = None
        for batch in batches:
            columns = batch.columns[: batch.num_columns - len(texts)]
            hashes = dict(zip(texts, batch.columns[len(columns) :], strict=True))
            sketches = sketches or [Sketch(kind_of(values.type)) for values in columns]
            for number, (sketch, values) in enumerate(zip(sketches, columns, strict=True)):
                sketch.look_at(values, hashes.get(number))
            some = min(batch.num_rows, FIRST if together is None else LATER)
            chosen = pa.array(draw.choice(batch.num_rows, some, replace=False))
            rows = [values.take(chosen) for values in columns]
            for number, values in enumerate(rows):
                for path, leaves in by_path(pa.RecordBatch.from_arrays([values], [""])):
                    evidence.setdefault((number, path), Evidence()).add(scanning.look_at(leaves))
            matrix = [rows[n].cast(pa.float64()).to_numpy(zero_copy_only=False) for n in numbers]
            found = Together.of(np.array(matrix, dtype=float).reshape(len(numbers), some).T)
            together = found if together is None else together.plus(found)
        states: list[tuple[int, str, str, Any]]
        states = [(number, "", "sketch", sketch) for number, sketch in enumerate(sketches)]
        states += [(number, path, "evidence", found.as_data()) for (number, path), found in evidence.items()]
        if together is not None:
            states.append((-1, "", "together", together))
        yield _batch(states)

    return run


def _merging(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """On a worker: the states of each column added up."""
    merged: dict[tuple[int, str, str], Any] = {}
    for batch in batches:
        for row in batch.to_pylist():
            place = (row["number"], row["path"], row["what"])
            state = pickle.loads(row["state"])  # noqa: S301 - from our own workers
            if row["what"] == "evidence":
                state = Evidence.of_data(state)
            if place not in merged:
                merged[place] = state
            elif row["what"] == "together":
                merged[place] = merged[place].plus(state)
            else:
                merged[place].add(state)
    yield _batch([
        (number, path, what, state.as_data() if what == "evidence" else state)
        for (number, path, what), state in merged.items()
    ])  # fmt: skip


def _batch(states: list[tuple[int, str, str, Any]]) -> pa.RecordBatch:
    import pyarrow as pa

    numbers, paths, whats, held = zip(*states, strict=True) if states else ((), (), (), ())
    columns = [pa.array(numbers, pa.int32()), pa.array(paths, pa.string()), pa.array(whats, pa.string())]
    return pa.RecordBatch.from_arrays(
        [*columns, pa.array(map(pickle.dumps, held), pa.binary())], names=["number", "path", "what", "state"]
    )


def _correlations(together: tuple[list[int], Together] | None, names: list[str]) -> Iterator[Correlation]:
    """The strongest first."""
    if together is None:
        return
    numbers, found = together
    matrix = found.correlations()
    pairs = [
        (float(matrix[i, j]), i, j) for i in range(len(numbers)) for j in range(i) if abs(matrix[i, j]) >= CORRELATED
    ]
    for value, i, j in sorted(pairs, key=lambda pair: -abs(pair[0])):
        yield Correlation(names[numbers[j]], names[numbers[i]], value, int(found.rows[i, j]))


# the second pass


def _counted(frame: DataFrame, columns: list[ColumnProfile]) -> list[ColumnProfile]:
    """With the exact share of unique values, where a column may be a key: all in one pass."""
    may_be = [
        column
        for column in columns
        if column.rows > 1 and not column.missing and column.distinct >= ALMOST * column.rows and "<" not in column.type
    ][:KEYS]
    if not may_be:
        return columns
    asked = {column.name: Metric("uniqueness", (column.name,)) for column in may_be}
    values = engine.measure(frame, asked.values())
    return [
        dataclasses.replace(column, unique=values.get(asked[column.name])) if column.name in asked else column
        for column in columns
    ]


# telling


def read(path: str) -> Profile:
    """A profile that ``--json`` wrote.

    Raises:
        UsageError: the file is none.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        if data.pop("dataward_profile") != 1:
            raise ValueError
        columns = tuple(_column(column) for column in data.pop("columns"))
        correlations = tuple(Correlation(**one) for one in data.pop("correlations"))
        data.pop("report", None)
        data.pop("drift", None)
        return Profile(columns=columns, correlations=correlations, **data)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(
            f"{path}: this is no profile: write one with dataward profile SOURCE --json > {path}"
        ) from None


def _column(data: dict[str, Any]) -> ColumnProfile:
    lengths = data.pop("lengths")
    return ColumnProfile(
        histogram=tuple(Bin(**one) for one in data.pop("histogram")),
        frequent=tuple(Frequent(**one) for one in data.pop("frequent")),
        shapes=tuple((shape, share) for shape, share in data.pop("shapes")),
        quantiles=tuple(data.pop("quantiles")),
        lengths=Lengths(**lengths) if lengths else None,
        **data,
    )


def compared(first: Profile, second: Profile) -> list[Drift]:
    """How the second differs from the first, column by column."""
    return drifts(first.columns, second.columns)


def html(found: Profile, moved: Iterable[Drift] = ()) -> str:
    """The page over one profile."""
    name = found.source.partition(" ")[0].rstrip("/").rpartition("/")[2]
    return report.draw("profile.html.j2", profile=found, name=name, moved=list(moved))
