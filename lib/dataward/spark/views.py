"""Name frames for SQL, where a session may have views of its user."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dataward.spark.kind import is_remote

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["viewed"]


@contextmanager
def viewed(spark: SparkSession, frames: Mapping[str, DataFrame]) -> Iterator[None]:
    """Make frames temporary views for a block; afterwards a user's views of these names are as before.

    A run has a session of its own, without such views, unless the platform of Spark Connect gives no second one.
    """
    kept = {name: f"dataward_kept_{uuid.uuid4().hex}" for name in _present(spark, frames)}
    for name, other in kept.items():
        spark.table(name).createOrReplaceTempView(other)
    try:
        for name, frame in frames.items():
            frame.createOrReplaceTempView(name)
        yield
    finally:
        for name, other in kept.items():
            spark.catalog.dropTempView(name)  # replaced, a view would be compared with what it was made of
            spark.table(other).createTempView(name)
            spark.catalog.dropTempView(other)


def _present(spark: SparkSession, names: Mapping[str, object]) -> list[str]:
    if not is_remote(spark):
        return []
    there = {row.viewName.lower() for row in spark.sql("SHOW VIEWS").where("isTemporary").collect()}
    return [name for name in names if name.lower() in there]
