"""Functions over Arrow batches, run by Spark's Python workers, and the batches that they give back."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from zipimport import zipimporter

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType

__all__ = ["batch_of", "column_of", "mapped", "named", "settled"]

NUMBERS = {"int": "int32", "bigint": "int64", "double": "float64"}
READ = zipimporter.invalidate_caches
Function = Callable[[Iterable["pa.RecordBatch"]], Iterable["pa.RecordBatch"]]


def settled(function: Function) -> Function:
    """A function for ``mapInArrow``, by workers that begin their next tasks at once."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        _settle()
        return function(batches)

    return run


def mapped(frame: DataFrame, function: Function, schema: StructType | str) -> DataFrame:
    """Return ``frame.mapInArrow`` for columns of any name; PySpark's own takes a dot or a backtick in a name for SQL."""
    names = frame.columns
    numbered = frame.toDF(*(f"c{number}" for number in range(len(names))))

    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa

        return function(pa.RecordBatch.from_arrays(batch.columns, names=names) for batch in batches)

    return numbered.mapInArrow(settled(run), schema)


def _settle() -> None:
    """Spare a worker what it would do before and after every task; a fifth of a second and more together.

    Before a task PySpark invalidates the caches of imports. From Python 3.10 to 3.12 that reads the directories of Spark's
    archives again, once for every package in them (python/cpython#103200, SPARK-54744). After a task it collects garbage,
    among all that pandas and Arrow brought too.
    """
    if zipimporter.invalidate_caches is not _read_if_changed:
        zipimporter.invalidate_caches = _read_if_changed  # type: ignore[method-assign,assignment]
        gc.freeze()


def _read_if_changed(importer: zipimporter) -> None:
    with suppress(OSError):
        found = os.stat(importer.archive)
        seen, now = vars(importer).get("seen"), (found.st_mtime_ns, found.st_size)
        vars(importer)["seen"] = now
        if seen == now:
            return
    READ(importer)


def batch_of(rows: Sequence[Sequence[Any]], schema: str) -> pa.RecordBatch:
    """Rows as the Arrow batch that Spark takes; ``schema`` as Spark writes it: ``name type, name type``. No number is null."""
    import numpy as np
    import pyarrow as pa

    kinds = [field.split()[1] for field in schema.split(", ")]
    columns = list(zip(*rows, strict=True)) or [()] * len(kinds)
    return named(
        [
            column_of(np.array(column, NUMBERS[kind])) if kind in NUMBERS else pa.array(column, pa.type_for_alias(kind))
            for column, kind in zip(columns, kinds, strict=True)
        ],
        schema,
    )


def named(columns: list[pa.Array], schema: str) -> pa.RecordBatch:
    """Columns under the names of a schema."""
    import pyarrow as pa

    return pa.RecordBatch.from_arrays(columns, [field.split()[0] for field in schema.split(", ")])


def column_of(given: Any) -> pa.Array:
    """A numpy array as Arrow's, without a copy, and without pandas: ``pa.array`` imports it, a third of a second and more in a
    new worker."""
    import pyarrow as pa

    return pa.Array.from_buffers(pa.from_numpy_dtype(given.dtype), len(given), [None, pa.py_buffer(given)])
