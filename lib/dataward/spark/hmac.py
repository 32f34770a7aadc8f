"""Run our own Java code in the JVM, compiled on first use by Janino, the compiler of Spark's generated code."""

from __future__ import annotations

import hashlib
import logging
import re
import threading
import uuid
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hmac import digest
from importlib.resources import files
from pathlib import Path
from typing import Any

from dataward.spark import moved
from dataward.spark.kind import is_remote
from dataward.spark.settings import FORMAT_CHECK, settings
from dataward.spark.sql import column

__all__ = ["Observing", "hmac", "mac", "row_sums", "sha256_of_files"]

COMPILING = threading.Lock()
BY_DRIVER = 32 * 1024 * 1024
"""Most bytes of files that the driver hashes itself: a Spark job for them would take longer."""
WAIT = 10_000
"""Milliseconds in which Spark must deliver the observations of a finished query."""


def hmac(column: Any, secret: bytes, prefix: bytes, size: int) -> Any:
    """Return a binary column of ``prefix`` and the HMAC-SHA-256 of a binary column in hexadecimal; null stays null.

    Spark serialises the key within a function and sends it to executors; plans show the function's name only. Through Spark
    Connect, a function of the Python workers returns the same bytes.

    Args:
        column: binary column.
        secret: the key.
        prefix: bytes before the MAC.
        size: number of bytes of the MAC, before hexadecimal encoding.
    """
    from pyspark.sql import Column, SparkSession

    spark: Any = SparkSession.active()
    if is_remote(spark):
        return _on_workers(secret, prefix, size)(column)
    with COMPILING, _unlogged():
        arguments = spark.sparkContext._gateway.new_array(spark.sparkContext._jvm.Object, 3)
        arguments[0], arguments[1], arguments[2] = secret, prefix, size
        return Column(_class(spark, "Hmac").getConstructors()[0].newInstance(arguments).of(column._jc))


def _on_workers(secret: bytes, prefix: bytes, size: int) -> Any:
    """Return the function of :func:`hmac` for Python workers."""
    import pandas as pd
    from pyspark.sql import functions as F

    def of(values: pd.Series) -> pd.Series:
        return values.map(lambda value: None if value is None else mac(bytes(value), secret, prefix, size))

    of.__annotations__ = {"values": pd.Series, "return": pd.Series}  # which pandas_udf reads as types
    udf: Any = F.pandas_udf  # type: ignore[attr-defined]  # missing from pyspark's stubs
    return udf(of, "binary")


def mac(value: bytes, secret: bytes, prefix: bytes, size: int) -> bytes:
    """Return the bytes that ``Hmac.java`` returns for a value."""
    return prefix + digest(secret, value, "sha256")[:size].hex().encode()


def row_sums(columns: Sequence[Any], schema: Any, secret: bytes) -> Any:
    """Return an aggregate: the number of rows and the sum of their MACs, as 40 bytes; ``RowSums.java`` defines the encoding.

    Args:
        columns: columns of the schema's types, in its order.
        schema: their names and types (StructType).
        secret: the key; plans show the function's name only.
    """
    return _row_macs(columns, schema, secret, True)


def _row_macs(columns: Sequence[Any], schema: Any, secret: bytes, aggregates: bool) -> Any:
    from pyspark.sql import SparkSession

    spark: Any = SparkSession.active()
    gateway, jvm = spark.sparkContext._gateway, spark.sparkContext._jvm
    with COMPILING, _unlogged():
        arguments = gateway.new_array(jvm.Object, 3)
        arguments[0] = secret
        arguments[1] = spark._jsparkSession.parseDataType(schema.json())
        arguments[2] = aggregates
        function = _class(spark, "RowSums").getConstructors()[0].newInstance(arguments)
    children, catalyst = moved.expressions(spark, columns), jvm.org.apache.spark.sql.catalyst.expressions
    if aggregates:
        return moved.column_of(spark, catalyst.aggregate.V2Aggregator(function, children, 0, 0).toAggregateExpression())
    return moved.column_of(spark, catalyst.ApplyFunctionExpression(function, children))


class Observing:
    """Context manager that sums the rows of a frame while it is written, like :func:`row_sums`.

    The result is exact if the frame's last stage writes: Spark counts each task of such a stage once, despite failures.
    """

    def __init__(self) -> None:
        """Create the observation; it starts with the frame."""
        self._name = f"dataward-{uuid.uuid4().hex}"
        self._session: Any = None
        self._listener: Any = None

    def __enter__(self) -> Observing:
        """Return the observation."""
        return self

    def __exit__(self, *_: object) -> None:
        """Unregister the listener."""
        if self._listener is not None:
            self._session.listenerManager().unregister(self._listener)

    def through(self, frame: Any, columns: Sequence[Any], schema: Any, secret: bytes) -> Any:
        """Return the same frame, whose rows are summed while they are written; arguments of :func:`row_sums`."""
        from pyspark.sql import functions as F

        self._listen(frame)
        with_mac = frame.select("*", _row_macs(columns, schema, secret, False).alias(self._name))
        sums = [F.sum(column(self._name, f"l{lane}")) for lane in range(4)]
        return with_mac.observe(self._name, F.count(F.lit(1)), *sums).drop(self._name)

    def merge(self, frame: Any) -> None:
        """Observe the numbers of rows of a merge in the frame's session."""
        self._listen(frame)

    def result(self) -> Any:
        """Return the sums (40 bytes); None if no query has written the frame."""
        return self._listener.of(self._name) if self._delivered() else None

    def merged(self) -> tuple[int, int] | None:
        """Return the inserted and updated rows of the last merge; None where there was none, or this Spark does not count them."""
        counts = list(self._listener.merged()) if self._delivered() else []
        return (counts[0], counts[1]) if counts and min(counts) >= 0 else None

    def _listen(self, frame: Any) -> None:
        spark = frame.sparkSession
        if self._listener is not None or is_remote(spark):
            return
        with COMPILING:
            nothing = spark.sparkContext._gateway.new_array(spark.sparkContext._jvm.Object, 0)
            self._listener = _class(spark, "Observed").getConstructors()[0].newInstance(nothing)
        self._session = frame._jdf.sparkSession()  # a stream's batch has a session of its own
        self._session.listenerManager().register(self._listener)

    def _delivered(self) -> bool:
        """Wait for the events of the session's queries; returns whether it is observed at all."""
        if self._listener is None:
            return False
        with suppress(Exception):  # too many events for Spark to deliver in time: the caller reads the rows instead
            self._session.sparkContext().listenerBus().waitUntilEmpty(WAIT)
        return True


def sha256_of_files(spark: Any, sizes: Mapping[str, int]) -> dict[str, str]:
    """Return the SHA-256 (hex) of files, read as streams.

    Args:
        spark: the session.
        sizes: size in bytes by path; their sum decides whether executors read the files.
    """
    from pyspark.sql import Column
    from pyspark.sql import functions as F

    if is_remote(spark):
        files = (
            spark.read.format("binaryFile")
            .option("__globPaths__", "false")
            .load(list(sizes))
            .select("path", F.sha2("content", 256))
        )
        with settings(spark, {FORMAT_CHECK: "false"}, hints=True):
            found = {_plain(row[0]): row[1] for row in files.collect()} if sizes else {}
        return {path: found[_plain(path)] for path in sizes}
    jvm = spark.sparkContext._jvm
    with COMPILING:
        hadoop = jvm.org.apache.spark.util.SerializableConfiguration(
            spark._jsparkSession.sessionState().newHadoopConf()
        )
        arguments = spark.sparkContext._gateway.new_array(jvm.Object, 1)
        arguments[0] = hadoop
        hashing = _class(spark, "FileSha256").getConstructors()[0].newInstance(arguments)
    if sum(sizes.values()) <= BY_DRIVER:
        return {path: str(hashing.call(path)) for path in sizes}
    paths = spark.createDataFrame([(path,) for path in sizes], "path string")
    hashed = paths.select("path", Column(hashing.of(F.col("path")._jc)))
    return {row[0]: row[1] for row in hashed.collect()}


def _plain(path: str) -> str:
    """Return a path in a normalised form: with one slash after its scheme, and without the scheme of local files."""
    return re.sub(r"^(\w+:)/+", r"\1/", path).removeprefix("file:")


def _class(spark: Any, name: str) -> Any:
    """Compile the Java file of this name in this folder, and return its class, available on the driver and every executor.

    The package's name holds a hash of the file, because a long-lived cluster may still hold classes of an older version.
    """
    text = files(__package__).joinpath(f"{name}.java").read_text(encoding="utf-8")
    package = f"dataward.v{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    jvm = spark.sparkContext._jvm
    loader = spark._jsparkSession.sharedState().jarClassLoader()
    try:
        return jvm.java.lang.Class.forName(f"{package}.{name}", False, loader)
    except Exception as error:  # py4j raises one type of error for all Java exceptions
        if "ClassNotFoundException" not in str(error):
            raise
    compiler = jvm.org.codehaus.janino.SimpleCompiler()
    compiler.setParentClassLoader(loader)
    compiler.cook(text.replace("package dataward;", f"package {package};"))
    # This folder exists as long as the JVM: executors that start later fetch the jar.
    jar = Path(spark.sparkContext._temp_dir, f"{package}.jar")
    with zipfile.ZipFile(jar, "w") as archive:
        for class_name, code in compiler.getBytecodes().items():
            archive.writestr(class_name.replace(".", "/") + ".class", bytes(code))
    spark._jsparkSession.sessionState().resourceLoader().addJar(str(jar))
    return jvm.java.lang.Class.forName(f"{package}.{name}", False, loader)


@contextmanager
def _unlogged() -> Iterator[None]:
    """Suppress debug logs: py4j logs the arguments of every call, which include the key."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.DEBUG))
    try:
        yield
    finally:
        logging.disable(before)
