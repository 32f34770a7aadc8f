"""Read the settings of a job: Spark's, and Hadoop's of its file systems."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataward.errors import UsageError
from dataward.spark.kind import is_remote

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["of_file", "of_session"]

HADOOP = "spark.hadoop."


def of_session(spark: SparkSession) -> dict[str, str]:
    """Return the settings of a session; Hadoop's without their prefix ``spark.hadoop.``."""
    if is_remote(spark):
        return _plain({row[0]: row[1] for row in spark.sql("SET").collect()})
    found = _plain(dict(spark.sparkContext.getConf().getAll()))
    hadoop: Any = spark.sparkContext._jsc.hadoopConfiguration().iterator()
    while hadoop.hasNext():
        entry = hadoop.next()
        if entry.getKey().startswith(("fs.s3", "javax.jdo")) and "secret" not in entry.getKey():
            found[entry.getKey()] = str(entry.getValue())
    return found


def of_file(path: str) -> dict[str, str]:
    """Return the settings of a file in the format of ``spark-submit --properties-file``.

    Raises:
        UsageError: the file cannot be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from None
    lines = [line.strip() for line in text.splitlines()]
    pairs = [line.replace("=", " ", 1).split(None, 1) for line in lines if line and not line.startswith("#")]
    return _plain({pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2})


def _plain(settings: dict[str, str]) -> dict[str, str]:
    return {name.removeprefix(HADOOP): value for name, value in settings.items()}
