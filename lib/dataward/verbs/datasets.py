"""Verified versions of a table as data sets of PyTorch and Hugging Face; ``dataward.read`` decides access."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataward.errors import UsageError
from dataward.pipeline.plan import Plan
from dataward.verbs.read import Reading, Wish, reading

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

__all__ = ["hugging_face_dataset", "hugging_face_of", "torch_dataset", "torch_of"]


def torch_dataset(spark: SparkSession, contract: str | Path | Plan, wish: Wish | None = None) -> Any:
    """Return a PyTorch ``IterableDataset`` of a verified version; it yields one dict per row.

    The rows are in memory, and the workers of a ``DataLoader`` share them.

    Args:
        spark: the session.
        contract: the contract's file, or its plan.
        wish: version and purpose; its form is ignored.

    Raises:
        ProofError: the seal does not hold.
        NotPermitted: no policy permits the caller to read the table.
        UsageError: PyTorch is not installed.
    """
    _module("torch", "torch")
    return torch_of(_read(spark, contract, wish).frame)


def hugging_face_dataset(spark: SparkSession, contract: str | Path | Plan, wish: Wish | None = None) -> Any:
    """Return a Hugging Face ``Dataset`` of a verified version, without a copy of its columns; see :func:`torch_dataset`."""
    _module("datasets", "dataward[huggingface]")
    found = _read(spark, contract, wish)
    return hugging_face_of(found.frame, f"version {found.version}, published by run {found.run_id}")


def _read(spark: SparkSession, contract: str | Path | Plan, wish: Wish | None) -> Reading:
    wish = wish or Wish()
    if not wish.verified:
        raise UsageError("data sets are of verified versions only: leave 'verified' as it is")
    return reading(spark, contract, replace(wish, form="arrow"))


def torch_of(table: pa.Table) -> Any:
    """Return an Arrow table as an ``IterableDataset``."""
    data = _module("torch.utils.data", "torch")
    base: Any = data.IterableDataset

    class Rows(base):  # type: ignore[misc] # the base class exists only with PyTorch
        """Rows of a verified version."""

        def __iter__(self) -> Iterator[dict[str, Any]]:
            """Yield this worker's rows."""
            worker = data.get_worker_info()
            first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
            for number, batch in enumerate(table.to_batches(max_chunksize=1024)):
                if number % step == first:
                    yield from batch.to_pylist()

        def __len__(self) -> int:
            """Return the number of all workers' rows."""
            return int(table.num_rows)

    return Rows()


def hugging_face_of(table: pa.Table, description: str) -> Any:
    """Return an Arrow table as a Hugging Face ``Dataset``."""
    library = _module("datasets", "dataward[huggingface]")
    return library.Dataset(library.table.InMemoryTable(table), info=library.DatasetInfo(description=description))


def _module(name: str, package: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        raise UsageError(f"{name.partition('.')[0]} is not installed: pip install '{package}'") from None
