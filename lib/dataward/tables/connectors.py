"""Readers that Spark does not bring itself: their Maven coordinates, and Kafka's messages as rows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dataward.contract import Source
from dataward.contract.reserved import MALFORMED
from dataward.errors import SourceError
from dataward.spark.jars import installed
from dataward.spark.sql import column
from dataward.tables.lines import undecodable
from dataward.tables.reading import UNDECODABLE

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["absent", "coordinate", "messages"]

COORDINATES = {
    "avro": "org.apache.spark:spark-avro_{scala}:{spark}",
    "iceberg": "org.apache.iceberg:iceberg-spark-runtime-{minor}_{scala}:{iceberg}",
    "jdbc": "org.postgresql:postgresql:42.7.8",
    "kafka": "org.apache.spark:spark-sql-kafka-0-10_{scala}:{spark}",
}
"""Coordinate by source format; for jdbc that of PostgreSQL's driver."""
ICEBERG = {"3.5": "1.10.0", "4.0": "1.10.0", "4.1": "1.11.0"}
"""Iceberg's release for a version of Spark; it has none for others."""

MISSING = re.compile(
    r"Failed to find (the )?data source|DATA_SOURCE_NOT_FOUND|ClassNotFoundException|NoClassDefFoundError|No suitable driver"
)


def coordinate(format_: str) -> str | None:
    """Return the Maven coordinate of a format's reader for the installed Spark; None where Spark brings it, or none is published."""
    import pyspark

    version, minor = pyspark.__version__, installed()
    scala = "2.12" if version.startswith("3.") else "2.13"
    named = COORDINATES.get(format_)
    if named is None or (format_ == "iceberg" and minor not in ICEBERG):
        return None
    return named.format(scala=scala, spark=version, minor=minor, iceberg=ICEBERG.get(minor))


def absent(format_: str, error: BaseException) -> str | None:
    """Return the remedy for an error that a missing reader caused; None for any other error."""
    named = coordinate(format_)
    if format_ not in COORDINATES or not MISSING.search(str(error)):
        return None
    if named is None:
        return (
            f"no reader of format {format_} is published for Spark {installed()}; there is one for {', '.join(ICEBERG)}"
        )
    what = "driver for this JDBC URL" if format_ == "jdbc" else f"reader of format {format_}"
    example = ", e.g. for PostgreSQL" if format_ == "jdbc" else ""
    return (
        f"this session has no {what}. Start it with its jar{example}: spark-submit --packages {named}, or the setting "
        f"spark.jars.packages={named}"
    )


def messages(frame: DataFrame, source: Source) -> DataFrame:
    """Return Kafka's messages as they are, or with a contract's ``schema`` the fields of their JSON.

    A message that is no JSON of the schema, and one without a value, has its text in column MALFORMED, and goes to the quarantine.

    Raises:
        SourceError: the schema has a column with a reserved name.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.types import StringType, StructType

    if source.schema_ is None:
        return frame
    schema = frame.sparkSession.createDataFrame([], source.schema_).schema
    if MALFORMED in map(str.lower, schema.names):
        raise SourceError(
            f"source {source}: its schema has a column '{MALFORMED}', a name that Dataward uses; rename it"
        )
    wanted = StructType([*schema.fields]).add(MALFORMED, StringType())
    options = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": MALFORMED}
    text = F.coalesce(F.col("value").cast("string"), F.lit("(a message without a value)"))
    parsed = frame.select(F.from_json(text, wanted, options).alias("row"), F.expr(undecodable("value")).alias("bad"))
    mark = F.when(F.col("bad"), F.lit(UNDECODABLE)).otherwise(column("row").getField(MALFORMED))
    rows = parsed.select(*(column("row").getField(name).alias(name) for name in schema.names), mark.alias(MALFORMED))
    return rows.withMetadata(MALFORMED, {"encoding": "UTF-8"})
