"""Maven coordinates of the readers that Spark does not bring itself."""

from __future__ import annotations

import re

__all__ = ["absent", "coordinate"]

COORDINATES = {"avro": "org.apache.spark:spark-avro_{scala}:{spark}"}
"""Coordinate by source format."""

MISSING = re.compile(r"Failed to find data source|DATA_SOURCE_NOT_FOUND|ClassNotFoundException|NoClassDefFoundError")


def coordinate(format_: str) -> str | None:
    """Return the Maven coordinate of a format's reader for the installed Spark; None where Spark brings it."""
    import pyspark

    version = pyspark.__version__
    scala = "2.12" if version.startswith("3.") else "2.13"
    named = COORDINATES.get(format_)
    return named.format(scala=scala, spark=version, minor=".".join(version.split(".")[:2])) if named else None


def absent(format_: str, error: BaseException) -> str | None:
    """Return the remedy for an error that a missing reader caused; None for any other error."""
    named = coordinate(format_)
    if named is None or not MISSING.search(str(error)):
        return None
    return (
        f"this session has no reader of format {format_}. Start it with the reader's jar: spark-submit --packages {named}, or "
        f"the setting spark.jars.packages={named}"
    )
