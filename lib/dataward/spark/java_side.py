"""Functions that only the JVM provides, with their behaviour without a JVM."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from dataward.spark.kind import is_remote
from dataward.spark.sql import literal

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["DEEQU", "deequ_metric", "has_class", "has_java", "pattern_trouble", "print_to_stderr", "under_spark_submit"]

DEEQU = "com.amazon.deequ.analyzers.Size"
"""A class that a session with Deequ has."""


def under_spark_submit() -> bool:
    """Return whether spark-submit started this process: it merges the process's two streams."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


def print_to_stderr(line: str) -> bool:
    """Print a line on the JVM's stderr, which the caller of spark-submit sees; returns False without a JVM."""
    from pyspark import SparkContext

    context: Any = SparkContext._active_spark_context
    if context is None:
        return False
    try:
        context._jvm.System.err.println(line)
    except Exception:  # the JVM has stopped, for example after Ctrl-C
        return False
    return True


def has_java() -> bool:
    """Return whether a session with a JVM of this process is active."""
    from pyspark import SparkContext

    return SparkContext._active_spark_context is not None


def has_class(spark: SparkSession, name: str) -> bool:
    """Return whether a session's JVM loads a class; False through Spark Connect."""
    if is_remote(spark):
        return False
    jvm: Any = spark.sparkContext._jvm
    try:
        jvm.java.lang.Thread.currentThread().getContextClassLoader().loadClass(name)
    except Exception:  # py4j wraps ClassNotFoundException and LinkageError alike
        return False
    return True


def pattern_trouble(spark: SparkSession, pattern: str) -> str:
    """Return why a Java regular expression does not compile; empty if it does."""
    if is_remote(spark):
        return _tried(spark, pattern)
    jvm: Any = spark.sparkContext._jvm
    try:
        jvm.java.util.regex.Pattern.compile(pattern)
    except Exception as error:
        java = getattr(error, "java_exception", None)
        return str(java.getDescription()) if java is not None else "not a pattern"
    return ""


def _tried(spark: SparkSession, pattern: str) -> str:
    """Let the server compile a pattern."""
    try:
        spark.sql(f"select rlike(value, {literal(pattern)}) from values ('') as tried(value)").collect()  # noqa: S608
    except Exception as error:
        said = str(error)
        return next(
            (line.strip() for line in said.splitlines() if " near index " in line or "dangling" in line.lower()),
            "not a pattern",
        )
    return ""


def deequ_metric(context: Any, analyzer: Any) -> Any:
    """Return Deequ's measurement of an analyzer: a Scala Option."""
    return context.metric(analyzer._analyzer_jvm)
