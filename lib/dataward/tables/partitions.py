"""List the partitions of a table from its log or its folders, and fingerprint their files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from dataward.contract import Location
from dataward.errors import SourceError
from dataward.spark.sql import identifier, literal
from dataward.tables import log
from dataward.tables.source import Pin, manifest

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Parts", "parts_of_source"]

KINDS = ("string", "date", "tinyint", "smallint", "int", "bigint", "boolean")
"""Types (Spark's simple names) whose values have exactly one text."""

NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Parts:
    """Partitions of a table, identified by a text: the JSON list of the values of the partition columns.

    Attributes:
        columns: (name, simple type) of each partition column.
        files: (file name, mark of its content) of each file, by partition.
    """

    columns: tuple[tuple[str, str], ...]
    files: dict[str, tuple[tuple[str, str], ...]]

    @property
    def text(self) -> str:
        """SQL of the text of a row's partition."""
        return _text([f"cast({identifier(name)} as string)" for name, _ in self.columns])

    def fingerprint(self, part: str) -> str:
        """Return the SHA-256 (hex) of the files of a partition."""
        return hashlib.sha256(json.dumps(sorted(self.files[part])).encode()).hexdigest()

    def among(self, parts: Iterable[str]) -> str:
        """Return SQL of a condition for the rows of some partitions, which prunes the files of the others."""
        conditions = [" and ".join(self._equal(part)) for part in parts]
        return " or ".join(f"({condition})" for condition in conditions) or "false"

    def _equal(self, part: str) -> list[str]:
        values = zip(self.columns, json.loads(part), strict=True)
        return [
            f"{identifier(name)} is null" if value is None else f"{identifier(name)} = cast({literal(value)} as {kind})"
            for (name, kind), value in values
        ]


def parts_of_source(spark: SparkSession, pin: Pin, names: Sequence[str]) -> Parts:
    """List the partitions of a pinned source.

    Raises:
        SourceError: the source is not partitioned by these columns, or a column has a type outside of :data:`KINDS`.
    """
    if pin.version is not None:
        listed = _of_delta(spark, pin.source, pin.version, names)
    else:
        listed = [_of_folders(path, f"{size} {time}", names) for path, size, time in manifest(spark, pin.source)]
    if any(file is None for file in listed):
        raise SourceError(
            f"source {pin.source}: it is not partitioned by {', '.join(names)}, by which mode refresh tells what changed. "
            "Partition it so, or use another mode"
        )
    return _parts(spark, f"source {pin.source}", pin.frame, names, [file for file in listed if file is not None])


_File = tuple[tuple[str | None, ...], str, str]
"""(values of the partition, file name, mark of the content)."""


def _of_delta(spark: SparkSession, place: Location, version: int, names: Sequence[str]) -> list[_File | None]:
    """List files from the log; a file's mark is its deletion vector. None stands for a file without these partition columns."""
    from pyspark.sql import DataFrame
    from pyspark.sql import functions as F

    try:
        snapshot = log.snapshot(spark, place, version)
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
    """Read the partition values from the folders of a path; None where the path lacks a column."""
    spelled = dict(folder.split("=", 1) for folder in path.split("/")[:-1] if "=" in folder)
    by_name = {unquote(name).lower(): unquote(value) for name, value in spelled.items()}
    if any(name.lower() not in by_name for name in names):
        return None
    values = [by_name[name.lower()] for name in names]
    return tuple(None if value == NO_VALUE else value for value in values), path, mark


def _parts(spark: SparkSession, what: str, frame: DataFrame, names: Sequence[str], files: list[_File]) -> Parts:
    """Group files by partition; raises SourceError for a partition column of another type than :data:`KINDS`."""
    types = {name.lower(): kind for name, kind in frame.dtypes}
    columns = tuple((name, types[name.lower()]) for name in names)
    for name, kind in columns:
        if kind not in KINDS:
            raise SourceError(
                f"{what}: partition column '{name}' is of type {kind}; mode refresh needs {', '.join(KINDS)}"
            )
    spelled = list(dict.fromkeys(values for values, _, _ in files))
    # Normalise values as Spark spells them in rows: a folder may be named 01 for 1.
    schema = ", ".join(f"v{number} string" for number in range(len(names)))
    sql = _text([f"cast(cast(v{number} as {kind}) as string)" for number, (_, kind) in enumerate(columns)])
    texts = [row[0] for row in spark.createDataFrame(spelled, schema).selectExpr(sql).collect()] if spelled else []
    text = dict(zip(spelled, texts, strict=True))
    grouped: dict[str, list[tuple[str, str]]] = {}
    for values, name, mark in files:
        grouped.setdefault(text[values], []).append((name, mark))
    return Parts(columns, {part: tuple(marked) for part, marked in sorted(grouped.items())})


def _text(columns: Sequence[str]) -> str:
    return f"to_json(array({', '.join(columns)}))"
