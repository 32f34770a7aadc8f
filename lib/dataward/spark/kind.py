"""Decide whether a session has a JVM of this process: the only place that asks.

A classic session has one, reached through py4j. A session of Spark Connect (Databricks serverless and standard access, any
``sc://`` server) has none: functions of ``spark`` and ``tables`` that use the JVM have a second way, or refuse by name.
"""

from __future__ import annotations

from typing import Any

__all__ = ["is_remote", "parallelism"]

TASKS = 8
"""Tasks to plan for where the cluster's size is not visible."""


def is_remote(spark: Any = None) -> bool:
    """Return whether a session is one of Spark Connect; without a session, whether this process uses Spark Connect."""
    if spark is not None:
        return not hasattr(spark, "_jsparkSession")
    from pyspark.sql.utils import is_remote as uses_connect

    return bool(uses_connect())


def parallelism(spark: Any) -> int:
    """Return how many tasks a session runs at once; a guess through Spark Connect."""
    return TASKS if is_remote(spark) else int(spark.sparkContext.defaultParallelism)
