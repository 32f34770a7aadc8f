"""Java's class data sharing: an archive of the classes that a session loads, which later JVMs map instead of reading each class.

It lies in the folder of the installed pyspark: whoever may write there may change Spark itself. The JVM compares its class path with
that of the archive, and starts without the archive if they differ.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from dataward.errors import SessionError
from dataward.spark.java import find_java

__all__ = ["make", "option", "place"]

QUIET = "-Xlog:disable -Xlog:all=error:stderr"
"""Else the JVM would warn on standard output that an archive does not fit."""


def place(java: str) -> Path:
    """Return the path of the archive for one Java (its home and release) and the installed pyspark."""
    import pyspark

    release = Path(java, "release")
    described = release.read_text(encoding="utf-8", errors="replace") if release.exists() else ""
    key = hashlib.sha256("\n".join([java, described, pyspark.__version__]).encode()).hexdigest()
    return Path(pyspark.__file__).parent / f"dataward-{key[:16]}.jsa"


def option(java: str) -> str:
    """Return the JVM's options for its archive, with a space before them; empty where there is none."""
    found = place(java)
    return f' -Xshare:auto "-XX:SharedArchiveFile={found}" {QUIET}' if found.exists() else ""


def make() -> Path:
    """Write the archive by a local session, which ends, and return its path.

    Raises:
        SessionError: the folder of pyspark cannot be written, or this Java makes no archive.
    """
    from dataward.spark import session

    java = find_java()
    path = place(java)
    if not os.access(path.parent, os.W_OK):
        raise SessionError(f"{path.parent} cannot be written: no archive was made, and sessions start without one")
    partial = path.with_suffix(f".{os.getpid()}")
    options = f'{session.LOGS} "-XX:ArchiveClassesAtExit={partial}" {QUIET}'
    spark = session.get(**{"spark.driver.extraJavaOptions": options})
    jvm = vars(spark.sparkContext._gateway)["proc"]  # pyspark keeps the process there
    with TemporaryDirectory() as folder:
        spark.range(100).selectExpr("id", "cast(id as string) text").write.format("delta").save(f"{folder}/table")
        spark.read.format("delta").load(f"{folder}/table").groupBy("text").count().collect()
    spark.stop()
    jvm.stdin.close()  # the JVM ends, and writes the archive
    jvm.wait()
    if not partial.exists():
        raise SessionError(f"the Java at {java} made no archive (Java 13 and later do); sessions start without one")
    return partial.replace(path)
