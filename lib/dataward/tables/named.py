"""Give the commits of SQL commands their metadata.

Delta takes it from a setting of the session. Databricks serverless refuses that setting, and takes metadata from the option of a
writer only, which a MERGE does not have. A merge then has the metadata in its condition, which Delta writes to the commit as well:
the source gets a constant column, and the condition compares it with the same constant.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from dataward.errors import SettingRefused
from dataward.spark.settings import settings
from dataward.tables.deltalog.metadata import word_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["AUTO_MERGE", "USER_METADATA", "mark", "named"]

AUTO_MERGE = "spark.databricks.delta.schema.autoMerge.enabled"
"""Setting of a session in which a merge may add columns."""
USER_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
"""Setting of a session with the metadata of its commits."""
_MARK: ContextVar[str] = ContextVar("mark", default="")


@contextmanager
def named(spark: SparkSession, text: str) -> Iterator[None]:
    """Give commits of a block their metadata; where the platform refuses the setting, its merges only."""
    with ExitStack() as afterwards:
        try:
            afterwards.enter_context(settings(spark, {USER_METADATA: text}))
        except SettingRefused:
            afterwards.callback(_MARK.reset, _MARK.set(word_of(text)))
        yield


def mark() -> str:
    """Return the constant with which the condition of a merge compares; empty where the session's setting has the metadata."""
    return _MARK.get()
