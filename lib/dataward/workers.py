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

__all__ = ["batch_of", "settled"]

READ = zipimporter.invalidate_caches
Function = Callable[[Iterable["pa.RecordBatch"]], Iterable["pa.RecordBatch"]]


def settled(function: Function) -> Function:
    """A function for ``mapInArrow``, by workers that begin their next tasks at once."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        _settle()
        return function(batches)

    return run


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
    """Rows as the Arrow batch that Spark takes; ``schema`` as Spark writes it, of the types below: ``name type, name type``."""
    import pyarrow as pa

    kinds = {
        "boolean": pa.bool_(),
        "int": pa.int32(),
        "bigint": pa.int64(),
        "double": pa.float64(),
        "string": pa.string(),
        "binary": pa.binary(),
    }
    fields = [field.split() for field in schema.split(", ")]
    columns = list(zip(*rows, strict=True)) or [()] * len(fields)
    arrays = [pa.array(column, kinds[kind]) for column, (_, kind) in zip(columns, fields, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, [name for name, _ in fields])
