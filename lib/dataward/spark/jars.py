"""Fetch the jars of a local session: pinned coordinates, resolved once by Spark's Ivy, verified by SHA-256.

The installed pyspark decides which jars these are: Delta and Deequ for Spark 3.5, Delta alone for Spark 4, for which no Deequ is built.

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
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dataward.errors import SessionError
from dataward.spark.java import find_java

__all__ = ["S3", "SETS", "JarSet", "cache", "ensure", "fetch_s3", "fitting", "s3", "submit_script"]


@dataclass(frozen=True)
class JarSet:
    """Some jars.

    Attributes:
        coordinates: Maven coordinates to resolve.
        excludes: Maven coordinates to leave out.
        sums: file of committed sums.
    """

    coordinates: tuple[str, ...]
    sums: Path
    excludes: tuple[str, ...] = ()


HERE = Path(__file__).parent
SETS = {
    "3.5": JarSet(
        ("io.delta:delta-spark_2.12:3.3.3", "com.amazon.deequ:deequ:2.1.0-spark-3.5"),
        HERE / "jars.sha256",
        # dqdl 1.0.7, a dependency of Deequ, is in no repository; netlib replaces arpack_combined_all.
        ("software.amazon.glue:dqdl", "net.sourceforge.f2j:arpack_combined_all"),
    ),
    **{
        spark: JarSet((f"io.delta:delta-spark_{spark}_2.13:4.4.0",), HERE / f"jars-{spark}.sha256")
        for spark in ("4.0", "4.1", "4.2")
    },
}
"""Jars of a session by Spark's version; Delta's coordinate comes first."""


S3 = {"3.5": JarSet(("org.apache.hadoop:hadoop-aws:3.3.4",), HERE / "jars-s3.sha256")}
"""What a local session reads S3 with (280 MB): fetched by ``dataward jars --s3`` alone."""


def fitting() -> JarSet:
    """Return the jars of a session for the installed pyspark.

    Raises:
        SessionError: there are none for this version.
    """
    import pyspark

    found = _for_installed(SETS)
    if found is None:
        raise SessionError(
            f"pyspark {pyspark.__version__} is installed; Dataward is tested on {', '.join(SETS)} (3.5 is that of EMR 7, Glue 5, "
            "Databricks 15.4 and 16.4; 4.0 that of Databricks 17.3). On your own machine: "
            "pip install 'dataward[spark]', or 'dataward[spark4]' for Spark 4"
        )
    return found


def _for_installed(sets: Mapping[str, JarSet]) -> JarSet | None:
    return sets.get(installed())


def installed() -> str:
    """Return the installed version of Spark, without its last number: 3.5, 4.0."""
    import pyspark

    return ".".join(pyspark.__version__.split(".")[:2])


def cache() -> Path:
    """Return the folder of the jars."""
    chosen = os.environ.get("DATAWARD_JARS")
    return Path(chosen) if chosen else Path.home() / ".cache" / "dataward" / "jars"


def fetch_s3() -> list[Path]:
    """Return the jars for S3, after fetching missing ones; later local sessions have them.

    Raises:
        SessionError: a jar cannot be fetched, or there are none for the installed pyspark.
    """
    found = _for_installed(S3)
    if found is None:
        raise SessionError(
            "jars for S3 are pinned for Spark 3.5 only: with Spark 4, name hadoop-aws by spark.jars.packages yourself"
        )
    return ensure(cache() / "s3", found)


def s3() -> list[Path]:
    """Return the verified jars for S3 if they were fetched; otherwise none."""
    found = _for_installed(S3)
    fetched = found is not None and all((cache() / "s3" / name).exists() for name in expected(found.sums))
    return fetch_s3() if fetched else []


def expected(sums: Path | None = None) -> dict[str, str]:
    """Return the committed SHA-256 (hex) by file name; without a file, those of a session."""
    pairs = (line.split() for line in (sums or fitting().sums).read_text(encoding="utf-8").splitlines() if line.strip())
    return {name: digest for digest, name in pairs}


def ensure(folder: Path | None = None, jars: JarSet | None = None) -> list[Path]:
    """Return the paths of the jars, after fetching missing ones and verifying all.

    Args:
        folder: the cache; None: :func:`cache`.
        jars: None: those of a session (:func:`fitting`).

    Raises:
        SessionError: a jar cannot be fetched, or its SHA-256 differs from the committed one.
    """
    folder, jars = folder or cache(), jars or fitting()
    wanted = expected(jars.sums)
    if any(not (folder / name).exists() for name in wanted):
        _resolve(folder, wanted, jars)
    for name, digest in wanted.items():
        actual = _sha256(folder / name)
        if actual != digest:
            raise SessionError(
                f"{folder / name}: SHA-256 is {actual}, but {digest} was committed ({jars.sums.name}). The file was changed "
                "or damaged: nothing was started. Delete it and run 'make setup' (or 'dataward jars') again"
            )
    return [folder / name for name in wanted]


def _resolve(folder: Path, wanted: dict[str, str], jars: JarSet) -> None:
    """Resolve the coordinates by an empty Spark application and copy the wanted jars to the folder."""
    print(f"dataward: fetching {len(wanted)} jars once into {folder}", file=sys.stderr)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="dataward-ivy-") as scratch:
        application = Path(scratch, "nothing.py")
        application.write_text("", encoding="utf-8")
        command = [
            submit_script(),
            *("--master", "local[1]", "--packages", ",".join(jars.coordinates)),
            *(("--exclude-packages", ",".join(jars.excludes)) if jars.excludes else ()),
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
