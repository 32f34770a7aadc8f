"""Fetch the jars of a local session: pinned coordinates, resolved once by Spark's Ivy, verified by SHA-256.

EMR, Glue and Databricks provide their own jars. The cache is ``$DATAWARD_JARS`` or ``~/.cache/dataward/jars``; once it is
filled, no start needs the network.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from dataward.errors import SessionError
from dataward.spark.java import find_java

__all__ = ["COORDINATES", "EXCLUDES", "S3_COORDINATES", "S3_SUMS", "cache", "ensure", "fetch_s3", "s3", "submit_script"]

COORDINATES = ("io.delta:delta-spark_2.12:3.3.3", "com.amazon.deequ:deequ:2.1.0-spark-3.5")
# dqdl 1.0.7, a dependency of Deequ, is in no repository; netlib replaces arpack_combined_all.
EXCLUDES = ("software.amazon.glue:dqdl", "net.sourceforge.f2j:arpack_combined_all")

SUMS = Path(__file__).with_name("jars.sha256")

S3_COORDINATES = ("org.apache.hadoop:hadoop-aws:3.3.4",)
"""What a local session reads S3 with (280 MB): fetched by ``dataward jars --s3`` alone."""
S3_SUMS = Path(__file__).with_name("jars-s3.sha256")


def cache() -> Path:
    """Return the folder of the jars."""
    chosen = os.environ.get("DATAWARD_JARS")
    return Path(chosen) if chosen else Path.home() / ".cache" / "dataward" / "jars"


def fetch_s3() -> list[Path]:
    """Return the jars for S3, after fetching missing ones; later local sessions have them."""
    return ensure(cache() / "s3", S3_SUMS, S3_COORDINATES, ())


def s3() -> list[Path]:
    """Return the verified jars for S3 if they were fetched; otherwise none."""
    wanted = expected(S3_SUMS)
    return fetch_s3() if all((cache() / "s3" / name).exists() for name in wanted) else []


def expected(sums: Path = SUMS) -> dict[str, str]:
    """Return the committed SHA-256 (hex) by file name."""
    pairs = (line.split() for line in sums.read_text(encoding="utf-8").splitlines() if line.strip())
    return {name: digest for digest, name in pairs}


def ensure(
    folder: Path | None = None,
    sums: Path = SUMS,
    coordinates: tuple[str, ...] = COORDINATES,
    excludes: tuple[str, ...] = EXCLUDES,
) -> list[Path]:
    """Return the paths of the jars, after fetching missing ones and verifying all.

    Args:
        folder: the cache; None: :func:`cache`.
        sums: file of committed sums.
        coordinates: Maven coordinates to resolve.
        excludes: Maven coordinates to leave out.

    Raises:
        SessionError: a jar cannot be fetched, or its SHA-256 differs from the committed one.
    """
    folder = folder or cache()
    wanted = expected(sums)
    if any(not (folder / name).exists() for name in wanted):
        _resolve(folder, wanted, coordinates, excludes)
    for name, digest in wanted.items():
        actual = _sha256(folder / name)
        if actual != digest:
            raise SessionError(
                f"{folder / name}: SHA-256 is {actual}, but {digest} was committed ({sums.name}). The file was changed "
                "or damaged: nothing was started. Delete it and run 'make setup' (or 'dataward jars') again"
            )
    return [folder / name for name in wanted]


def _resolve(folder: Path, wanted: dict[str, str], coordinates: tuple[str, ...], excludes: tuple[str, ...]) -> None:
    """Resolve the coordinates by an empty Spark application and copy the wanted jars to the folder."""
    print(f"dataward: fetching {len(wanted)} jars once into {folder}", file=sys.stderr)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="dataward-ivy-") as scratch:
        application = Path(scratch, "nothing.py")
        application.write_text("", encoding="utf-8")
        command = [
            submit_script(),
            *("--master", "local[1]", "--packages", ",".join(coordinates)),
            *(("--exclude-packages", ",".join(excludes)) if excludes else ()),
            *("--conf", f"spark.jars.ivy={scratch}", str(application)),
        ]
        environment = {**os.environ, "JAVA_HOME": find_java()}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)  # noqa: S603 - our own argv
        missing = [name for name in wanted if not Path(scratch, "jars", name).exists()]
        if missing:
            tail = "\n".join(done.stderr.splitlines()[-15:])
            raise SessionError(
                f"could not fetch {', '.join(missing)}. Check that Maven Central (or the mirror in your Ivy settings) "
                f"can be reached, then try again. Spark's Ivy said:\n{tail}"
            )
        for name in wanted:
            # A rename is atomic: another process never sees an incomplete jar.
            partial = folder / f".{name}.{os.getpid()}"
            shutil.copyfile(Path(scratch, "jars", name), partial)
            os.replace(partial, folder / name)


def submit_script() -> str:
    """Return the path of the spark-submit of the installed pyspark."""
    import pyspark

    return str(Path(pyspark.__file__).parent / "bin" / "spark-submit")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        digest = hashlib.sha256()
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
