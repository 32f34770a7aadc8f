"""Jars that only the tests use: the Spark Connect server, the parser of Deequ's own DQDL evaluator, S3, and further sources."""

from pathlib import Path

from dataward.spark import jars
from dataward.spark.jars import JarSet
from dataward.tables.connectors import coordinate

HERE = Path(__file__).parent
MORE = JarSet(("org.apache.spark:spark-connect_2.12:3.5.7", "software.amazon.glue:dqdl:1.0.0"), HERE / "jars.sha256")


def more() -> list[Path]:
    """Their files: the Connect server, then the DQDL parser. Spark 3.5's; Spark 4 has its own Connect server, and no Deequ."""
    return jars.ensure(jars=MORE)


def hadoop_aws() -> list[Path]:
    """What Spark reads S3 with."""
    return jars.ensure(jars=jars.S3["3.5"])


def sources() -> list[Path]:
    """Readers of sources that Spark does not bring: Avro, Iceberg, PostgreSQL, Kafka."""
    wanted = tuple(filter(None, map(coordinate, ("avro", "iceberg", "jdbc", "kafka"))))
    return jars.ensure(jars=JarSet(wanted, HERE / "jars-sources.sha256"))
