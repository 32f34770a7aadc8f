"""A Spark Connect server with Delta in a process of its own, as tests and helpers start it.

    python -m tests.e2e.connect_server PORT

Its Python workers have the packages of this environment, but no path to the sources under test: the client sends them.
"""

import os
import sys
from pathlib import Path

import pyspark

from dataward.spark import jars
from dataward.spark.java import find_java
from tests.jars import more

SETTINGS = {
    "spark.master": "local[2]",
    "spark.driver.memory": "1g",
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.ui.enabled": "false",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
}


def command(port: int, warehouse: str) -> list[str]:
    """The command that starts the server."""
    classpath = ",".join(map(str, [*jars.ensure(), more()[0]]))
    settings = {
        **SETTINGS,
        "spark.connect.grpc.binding.port": str(port),
        "spark.jars": classpath,
        "spark.sql.warehouse.dir": warehouse,
        "spark.eventLog.enabled": "true",
        "spark.eventLog.compress": "false",
        "spark.eventLog.dir": f"file:{warehouse}",
    }
    given = [part for key, value in settings.items() for part in ("--conf", f"{key}={value}")]
    home = str(Path(pyspark.__file__).parent)
    return [
        f"{home}/bin/spark-submit",
        *given,
        "--class",
        "org.apache.spark.sql.connect.service.SparkConnectServer",
        "spark-internal",
    ]


def environment() -> dict[str, str]:
    """The server's environment."""
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "SPARK_REMOTE")}
    return {
        **kept,
        "JAVA_HOME": find_java(),
        "SPARK_HOME": str(Path(pyspark.__file__).parent),
        "PYSPARK_PYTHON": sys.executable,
    }


if __name__ == "__main__":
    os.execve(command(int(sys.argv[1]), "/tmp")[0], command(int(sys.argv[1]), sys.argv[2]), environment())  # noqa: S606
