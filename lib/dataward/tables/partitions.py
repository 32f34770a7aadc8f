"""The partitions of a table, told from its log or its folders: which there are, and whether one is as it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from dataward.contract import Location
from dataward.errors import SourceError
from dataward.sql import identifier, literal
from dataward.tables import delta
from dataward.tables.source import Pin, manifest

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Parts", "parts_of_source", "parts_of_version"]

KINDS = ("string", "date", "tinyint", "smallint", "int", "bigint", "boolean")
"""Types (Spark's simple names) whose values have one text each."""

NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Parts:
    """Partitions by their text (a JSON list of their columns' values): the files of each, and what is read as what.

    ``files``: by partition, (a file's name, what marks its content).
    """

    columns: tuple[tuple[str, str], ...]  # name, simple type
    files: dict[str, tuple[tuple[str, str], ...]]

    @property
    def text(self) -> str:
        """SQL of the text of a row's partition."""
        return _text([f"cast({identifier(name)} as string)" for name, _ in self.columns])

    def fingerprint(self, part: str) -> str:
        """SHA-256 (hex) of which files a partition consists of."""
        return hashlib.sha256(json.dumps(sorted(self.files[part])).encode()).hexdigest()

    def among(self, some: Iterable[str]) -> str:
        """SQL for the rows of some partitions, by which files of others are not opened."""
        wanted = [" and ".join(self._equal(part)) for part in some]
        return " or ".join(f"({one})" for one in wanted) or "false"

    def _equal(self, part: str) -> list[str]:
        values = zip(self.columns, json.loads(part), strict=True)
        return [
            f"{identifier(name)} is null" if value is None else f"{identifier(name)} = cast({literal(value)} as {kind})"
            for (name, kind), value in values
        ]


def parts_of_source(spark: SparkSession, pin: Pin, names: Sequence[str]) -> Parts:
    """The partitions of a source as it is pinned.

    Raises:
        SourceError: it is not partitioned by these columns, or by columns whose values have several texts.
    """
    if pin.version is not None:
        found = _of_delta(spark, pin.source, pin.version, names)
    else:
        found = [_of_folders(path, f"{size} {time}", names) for path, size, time in manifest(spark, pin.source)]
    if any(file is None for file in found):
        raise SourceError(
            f"source {pin.source}: it is not partitioned by {', '.join(names)}, by which mode refresh tells what changed. "
            "Partition it so, or use another mode"
        )
    return _parts(spark, f"source {pin.source}", pin.frame, names, [file for file in found if file is not None])


def parts_of_version(spark: SparkSession, place: Location, version: int, names: Sequence[str]) -> Parts:
    """The partitions of a version of a Delta table that is partitioned by these columns."""
    found = [file for file in _of_delta(spark, place, version, names) if file is not None]
    return _parts(spark, str(place), delta.read(spark, place, version), names, found)


_File = tuple[tuple[str | None, ...], str, str]
"""(values of the partition, the file's name, what marks its content)."""


def _of_delta(spark: SparkSession, place: Location, version: int, names: Sequence[str]) -> list[_File | None]:
    """From the log alone. Two files of one name with other rows deleted from them are marked by what is deleted."""
    from pyspark.sql import DataFrame
    from pyspark.sql import functions as F

    try:
        snapshot = delta.snapshot(spark, place, version)
        physical = {
            field["name"].lower(): field["metadata"].get("delta.columnMapping.physicalName", field["name"])
            for field in json.loads(snapshot.metadata().schemaString())["fields"]
        }
        files = DataFrame(snapshot.allFiles().toDF(), spark)
    except Exception:
        raise SourceError(
            f"{place}: the files of its version {version} cannot be listed by this platform's Delta (3.3 is known to do it). "
            "Use another mode than refresh"
        ) from None
    spelled = [physical.get(name.lower(), name) for name in names]
    values = F.col("partitionValues")
    there = F.array(*(F.array_contains(F.map_keys(values), key) for key in spelled))
    mark = "concat_ws(' ', deletionVector.storageType, deletionVector.pathOrInlineDv, deletionVector.offset)"
    rows = files.select("path", F.expr(mark), there, *(values[key] for key in spelled)).collect()
    return [(tuple(row[3:]), unquote(row[0]), row[1]) if all(row[2]) else None for row in rows]


def _of_folders(path: str, mark: str, names: Sequence[str]) -> _File | None:
    spelled = dict(folder.split("=", 1) for folder in path.split("/")[:-1] if "=" in folder)
    of = {unquote(name).lower(): unquote(value) for name, value in spelled.items()}
    if any(name.lower() not in of for name in names):
        return None
    values = [of[name.lower()] for name in names]
    return tuple(None if value == NO_VALUE else value for value in values), path, mark


def _parts(spark: SparkSession, what: str, frame: DataFrame, names: Sequence[str], files: list[_File]) -> Parts:
    types = {name.lower(): kind for name, kind in frame.dtypes}
    columns = tuple((name, types[name.lower()]) for name in names)
    for name, kind in columns:
        if kind not in KINDS:
            raise SourceError(
                f"{what}: partition column '{name}' is of type {kind}; mode refresh needs {', '.join(KINDS)}"
            )
    spelled = list(dict.fromkeys(values for values, _, _ in files))
    # As Spark spells them in rows: a folder may say 01 for 1.
    schema = ", ".join(f"v{number} string" for number in range(len(names)))
    sql = _text([f"cast(cast(v{number} as {kind}) as string)" for number, (_, kind) in enumerate(columns)])
    texts = [row[0] for row in spark.createDataFrame(spelled, schema).selectExpr(sql).collect()] if spelled else []
    text = dict(zip(spelled, texts, strict=True))
    found: dict[str, list[tuple[str, str]]] = {}
    for values, name, mark in files:
        found.setdefault(text[values], []).append((name, mark))
    return Parts(columns, {part: tuple(some) for part, some in sorted(found.items())})


def _text(columns: Sequence[str]) -> str:
    return f"to_json(array({', '.join(columns)}))"
