"""Profile a table column by column, in at most two passes whatever their number, and compare it with an earlier profile.

The first pass sketches every column, correlates the numbers of some random rows, and searches the same rows for sensitive
data; the second counts unique values exactly where a column may be a key. Values of a column that looks sensitive are not
shown.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataward import report
from dataward.contract import Contract, CustomDetector, Source
from dataward.errors import SourceError, UsageError
from dataward.keys import open_keys
from dataward.pipeline.guard import guarded
from dataward.pipeline.refresh import sketches
from dataward.privacy.discover.custom import with_custom
from dataward.privacy.discover.detector import Detector
from dataward.privacy.discover.score import judge_column
from dataward.profiling.column import Bin, ColumnProfile, Frequent, Lengths, column_profile
from dataward.profiling.columns import Seen, seen
from dataward.profiling.drift import Drift, drifts
from dataward.profiling.sketch import Sketch
from dataward.quality.engines import spark as engine
from dataward.quality.metrics import Metric
from dataward.spark.session import isolated
from dataward.tables.reading import counted
from dataward.tables.reason import reason
from dataward.tables.source import MALFORMED, pin
from dataward.verbs.discover import as_source

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Correlation", "Profile", "compared", "html", "profile", "profile_of", "profiled", "read"]

KEYS = 32  # columns that are counted exactly because they may be keys
ALMOST = 0.9  # of the rows: a column with fewer distinct values by the sketch is not a key
CORRELATED = 0.3  # weaker correlations are not shown


@dataclass(frozen=True)
class Correlation:
    """Pearson correlation of two numeric columns over ``rows`` random rows without nulls in either."""

    one: str
    other: str
    value: float
    rows: int


@dataclass(frozen=True)
class Profile:
    """Profile of a table.

    ``share`` is the share of its rows that were sampled (1: all). ``error`` bounds the error of a share measured in the sample with a
    probability of 95 % (Dvoretzky, Kiefer & Wolfowitz, with Massart's constant: sqrt(ln(2 / 0.05) / (2 n))). Distinct counts of a
    sample are lower bounds.
    """

    source: str
    rows: int
    columns: tuple[ColumnProfile, ...]
    correlations: tuple[Correlation, ...] = ()
    share: float = 1.0
    error: float = 0.0
    warnings: tuple[str, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """Return the data that ``--json`` prints and :func:`read` reads."""
        return {"dataward_profile": 1, **dataclasses.asdict(self)}


@guarded("profile")
def profile(
    spark: SparkSession, source: Source | str, share: float = 1.0, custom: Mapping[str, CustomDetector] | None = None
) -> Profile:
    """Profile one table, given as a source, a path or a name of the catalog: one job sketches it, and one counts possible keys.

    Raises:
        SourceError: the table cannot be read.
    """
    detectors = with_custom(custom or {})
    with isolated(spark) as own:
        pinned = pin(own, as_source(own, source))
        frame = pinned.frame.drop(MALFORMED)
        drawn = frame if share == 1 else frame.sample(fraction=share, seed=0)
        try:
            warnings = counted(pinned.frame)[1] if MALFORMED in pinned.frame.columns else ()
            columns, correlations = profiled(drawn, detectors, keys=share == 1)
        except Exception as error:
            raise SourceError(f"source {source}: {reason(error)}") from None
    rows = columns[0].rows if columns else 0
    off = math.sqrt(math.log(2 / 0.05) / (2 * rows)) if share < 1 and rows else 0.0
    return Profile(pinned.described, rows, columns, correlations, share, off, warnings)


@guarded("profile")
def profile_of(spark: SparkSession, contract: Contract) -> Profile:
    """Profile the source of a contract with ``target.profile`` from the sketches of its partitions; no row is read.

    Columns that the contract calls sensitive show no value. Keys and correlations are not included.

    Raises:
        UsageError: the contract keeps no sketches.
        TargetError: no sketches were written yet, or they cannot be read.
    """
    if not contract.target.profile:
        raise UsageError(
            f"contract {contract.contract}: nothing is kept: say 'profile: true' under 'target', and publish"
        )
    with isolated(spark) as own:
        kept = sketches(own, contract, open_keys(contract.keys))
    columns = [column_profile(name, kind, sketch) for name, kind, sketch in kept]
    shown = (
        column.hidden(contract.line(column.name).class_ or "by the contract")
        if contract.sensitive(column.name)
        else column
        for column in columns
    )
    return Profile(str(contract.source), columns[0].rows, tuple(shown))


def profiled(
    frame: DataFrame, detectors: tuple[Detector, ...], keys: bool
) -> tuple[tuple[ColumnProfile, ...], tuple[Correlation, ...]]:
    """Profile a frame; columns that look sensitive show no values. ``keys``: whether to search keys."""
    found, fields = seen(frame, detectors), frame.schema.fields
    classes = _classes(found, [field.name for field in fields], detectors)
    columns = [
        column_profile(field.name, field.dataType.simpleString(), found.sketches.get(number) or Sketch("text"))
        for number, field in enumerate(fields)
    ]
    columns = _counted(frame, columns) if keys else columns
    shown = (column.hidden(classes[n]) if n in classes else column for n, column in enumerate(columns))
    return tuple(shown), tuple(_correlations(found, [column.name for column in columns]))


def _classes(found: Seen, names: list[str], detectors: tuple[Detector, ...]) -> dict[int, str]:
    """Return the class of each column that looks sensitive."""
    classes: dict[int, str] = {}
    for (number, path), evidence in found.evidence.items():
        below = judge_column(names[number] + path, evidence, detectors, names)
        if below.sensitive:
            classes.setdefault(number, str(below.class_ or below.inside[0][0]))
    return classes


def _correlations(found: Seen, names: list[str]) -> Iterator[Correlation]:
    """Yield correlations, the strongest first."""
    if found.together is None:
        return
    numbers, matrix = found.numbers, found.together.correlations()
    pairs = [
        (float(matrix[i, j]), i, j) for i in range(len(numbers)) for j in range(i) if abs(matrix[i, j]) >= CORRELATED
    ]
    for value, i, j in sorted(pairs, key=lambda pair: -abs(pair[0])):
        yield Correlation(names[numbers[j]], names[numbers[i]], value, int(found.together.rows[i, j]))


# the second pass


def _counted(frame: DataFrame, columns: list[ColumnProfile]) -> list[ColumnProfile]:
    """Add the exact share of unique values of columns that may be keys, all in one pass."""
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


# output


def read(path: str) -> Profile:
    """Read a profile that ``--json`` wrote.

    Raises:
        UsageError: the file contains no profile.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        if data.pop("dataward_profile") != 1:
            raise ValueError
        columns = tuple(_column(column) for column in data.pop("columns"))
        correlations = tuple(Correlation(**one) for one in data.pop("correlations"))
        data.pop("report", None)
        data.pop("drift", None)
        data["warnings"] = tuple(data.pop("warnings", ()))
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
    """Compare two profiles column by column."""
    return drifts(first.columns, second.columns)


def html(found: Profile, moved: Iterable[Drift] = ()) -> str:
    """Return the page of a profile."""
    name = found.source.partition(" ")[0].rstrip("/").rpartition("/")[2]
    return report.draw("profile.html.j2", profile=found, name=name, moved=list(moved))
