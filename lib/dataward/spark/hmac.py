"""Run our own Java code in the JVM, compiled on first use by Janino, the compiler of Spark's generated code."""

from __future__ import annotations

import hashlib
import logging
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

__all__ = ["hmac"]

COMPILING = threading.Lock()


def hmac(column: Any, secret: bytes, prefix: bytes, size: int) -> Any:
    """Return a binary column of ``prefix`` and the HMAC-SHA-256 of a binary column in hexadecimal; null stays null.

    Spark serialises the key within a function and sends it to executors; plans show the function's name only.

    Args:
        column: binary column.
        secret: the key.
        prefix: bytes before the MAC.
        size: number of bytes of the MAC, before hexadecimal encoding.
    """
    from pyspark.sql import Column, SparkSession

    spark: Any = SparkSession.active()
    with COMPILING, _unlogged():
        arguments = spark.sparkContext._gateway.new_array(spark.sparkContext._jvm.Object, 3)
        arguments[0], arguments[1], arguments[2] = secret, prefix, size
        return Column(_class(spark, "Hmac").getConstructors()[0].newInstance(arguments).of(column._jc))


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
