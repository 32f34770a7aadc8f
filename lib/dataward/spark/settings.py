"""Read the settings of a job, Spark's and Hadoop's of its file systems, and set those of a session for a block."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataward.errors import SettingRefused, UsageError
from dataward.spark.kind import is_remote

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["FORMAT_CHECK", "of_file", "of_session", "refuses", "setting", "settings"]

FORMAT_CHECK = "spark.databricks.delta.formatCheck.enabled"
"""Setting of Databricks: whether files of a Delta table cannot be read as plain files."""
HADOOP = "spark.hadoop."


class settings:  # noqa: N801 - reads as a word: `with settings(...)`
    """Context manager that sets Spark settings of an isolated session for a block."""

    def __init__(self, spark: SparkSession, values: Mapping[str, str], hints: bool = False) -> None:
        """Create the block for a session and settings; ``hints``: those that the platform refuses are left out."""
        self.spark, self.values, self.hints = spark, values, hints
        self.before: dict[str, str | None] = {}

    def __enter__(self) -> None:
        """Set the settings.

        Raises:
            SettingRefused: the platform refuses one of them (Databricks serverless); none is set.
        """
        for key, value in self.values.items():
            try:
                before = self.spark.conf.get(key, None)
                self.spark.conf.set(key, value)
            except Exception:
                if is_remote(self.spark) and self.hints:
                    continue
                self.__exit__()
                if not is_remote(self.spark):
                    raise
                raise SettingRefused(f"this Spark Connect session refuses the setting {key}") from None
            self.before[key] = before

    def __exit__(self, *_: object) -> None:
        """Restore the settings."""
        for key, value in self.before.items():
            if value is None:
                self.spark.conf.unset(key)
            else:
                self.spark.conf.set(key, value)


def setting(spark: SparkSession, key: str, default: str = "") -> str:
    """Return a setting; the default where the session has none, or its platform hides it (Databricks serverless)."""
    try:
        return str(spark.conf.get(key, default))
    except Exception:
        if not is_remote(spark):
            raise
        return default


def refuses(spark: SparkSession, *keys: str) -> list[str]:
    """Return those of some settings that a session cannot set; none in a classic session."""
    found = []
    for key in keys if is_remote(spark) else ():
        try:
            with settings(spark, {key: "false"}):
                continue
        except SettingRefused:
            found.append(key)
    return found


def of_session(spark: SparkSession) -> dict[str, str]:
    """Return the settings of a session; Hadoop's without their prefix ``spark.hadoop.``."""
    if is_remote(spark):
        with suppress(Exception):  # a platform that does not list them
            return _plain({row[0]: row[1] for row in spark.sql("SET").collect()})
        return {}
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
