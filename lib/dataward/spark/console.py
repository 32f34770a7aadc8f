"""Redirect Scala's console output."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dataward.spark.kind import is_remote

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["console_to_stderr"]


@contextmanager
def console_to_stderr(spark: SparkSession) -> Iterator[None]:
    """Redirect this thread's output on Scala's console to stderr: vacuum prints there, and stdout is for one JSON document.

    Scala stores the console in a thread-local variable, and PySpark maps each Python thread to one of the JVM: others keep theirs.
    """
    if is_remote(spark):  # the server has its own console
        yield
        return
    jvm: Any = spark.sparkContext._jvm
    console = jvm.java.lang.Class.forName("scala.Console$").getField("MODULE$").get(None)
    before = console.out()
    console.setOutDirect(jvm.java.lang.System.err)
    try:
        yield
    finally:
        console.setOutDirect(before)
