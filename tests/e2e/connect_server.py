"""A Spark Connect server with Delta in a process of its own, as tests and helpers start it.

    python -m tests.e2e.connect_server PORT FOLDER

The Spark of the Python that runs this is the server's. Its workers have the packages of that environment, but no path to the
sources under test: the client sends them.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyspark

from dataward.spark import jars
from dataward.spark.java import find_java
from tests.installed import SPARK4
from tests.jars import more
from tests.jvm import QUICK

ROOT = Path(__file__).parents[2]

SETTINGS = {
    "spark.master": "local[2]",
    "spark.driver.memory": "1g",
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.ui.enabled": "false",
    "spark.driver.extraJavaOptions": QUICK,
}


def command(port: int, warehouse: str) -> list[str]:
    """The command that starts the server."""
    own = [] if SPARK4 else [more()[0]]  # Spark 4 brings the server
    classpath = ",".join(map(str, [*jars.ensure(), *own]))
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


@dataclass(frozen=True)
class Server:
    """The address of a server, and the folder with its event log."""

    url: str
    folder: Path


@contextmanager
def serving(folder: Path, python: str = sys.executable) -> Iterator[Server]:
    """Yield a server of the Spark that a Python has, which works in a folder."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    started = [python, "-m", "tests.e2e.connect_server", str(port), str(folder)]
    told = {**os.environ, "PYTHONPATH": f"{ROOT / 'lib'}:{ROOT}"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(started, env=told, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        for _ in range(2400):
            assert process.poll() is None, (folder / "log").read_text()[-3000:]
            with socket.socket() as tried:
                if tried.connect_ex(("localhost", port)) == 0:
                    break
            time.sleep(0.25)
        yield Server(f"sc://localhost:{port}", folder)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


if __name__ == "__main__":
    argv = command(int(sys.argv[1]), sys.argv[2])
    os.execve(argv[0], argv, environment())  # noqa: S606
