"""Code of ours that runs in the JVM: Java, compiled when it is asked for by Janino, which Spark compiles its own plans with."""

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
    """Of a binary column ``prefix`` and the first ``size`` bytes of its HMAC-SHA-256 in hexadecimal, as UTF-8. Null stays null.

    The key is part of a function, which Spark sends to executors as it does any other; plans show its name alone.
    """
    from pyspark.sql import Column, SparkSession

    spark: Any = SparkSession.active()
    with COMPILING, _unlogged():
        given = spark.sparkContext._gateway.new_array(spark.sparkContext._jvm.Object, 3)
        given[0], given[1], given[2] = secret, prefix, size
        return Column(_class(spark, "Hmac").getConstructors()[0].newInstance(given).of(column._jc))


def _class(spark: Any, name: str) -> Any:
    """The class of the Java file of this name beside this one, known to the driver and to every executor.

    Each text of the file has a package of its own: a cluster may go on living with an older one.
    """
    text = files(__package__).joinpath(f"{name}.java").read_text(encoding="utf-8")
    package = f"dataward.v{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    jvm = spark.sparkContext._jvm
    loader = spark._jsparkSession.sharedState().jarClassLoader()
    try:
        return jvm.java.lang.Class.forName(f"{package}.{name}", False, loader)
    except Exception as error:  # py4j has one error for everything that Java throws
        if "ClassNotFoundException" not in str(error):
            raise
    compiler = jvm.org.codehaus.janino.SimpleCompiler()
    compiler.setParentClassLoader(loader)
    compiler.cook(text.replace("package dataward;", f"package {package};"))
    # Where it lives as long as the JVM: executors that come later fetch it.
    jar = Path(spark.sparkContext._temp_dir, f"{package}.jar")
    with zipfile.ZipFile(jar, "w") as made:
        for class_name, code in compiler.getBytecodes().items():
            made.writestr(class_name.replace(".", "/") + ".class", bytes(code))
    spark._jsparkSession.sessionState().resourceLoader().addJar(str(jar))
    return jvm.java.lang.Class.forName(f"{package}.{name}", False, loader)


@contextmanager
def _unlogged() -> Iterator[None]:
    """py4j logs every call with its arguments at level DEBUG."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.DEBUG))
    try:
        yield
    finally:
        logging.disable(before)
