"""``FileUniqueness "s3://lake/in/" = 1``: no two files are equal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataward.quality.files import TAGS, FileRule
from dataward.quality.metrics import Unmeasured
from dataward.quality.rules.base import SHARE
from dataward.quality.rules.families import Finding, Scene

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["FileUniqueness"]


class FileUniqueness(FileRule):
    """Number of distinct files (by SHA-256 of their content) divided by the number of files.

    ``with matchFileName = "true"`` counts distinct names as well. Reads the files completely, each up to 2 GB.

    Example::

        FileUniqueness "files" = 1             # 0.6667, FAILED
    """

    name = "FileUniqueness"
    span = SHARE
    condition = "number"
    tags = TAGS | {"matchFileName"}

    def look(self, scene: Scene, files: DataFrame) -> Finding:
        """Measure the files."""
        setting = self.statement.tag("matchFileName")
        by_name = setting is not None and str(setting.operands[0]).lower() == "true"
        same_name = ", count(distinct element_at(split(path, '/'), -1))" if by_name else ""
        row = files.selectExpr(
            "count(*)", f"least(count(distinct sha2(content, 256)){same_name or ', count(*)'})"
        ).first()
        if not row or not row[0]:
            raise Unmeasured("there are no files here")
        return Finding(row[1] / row[0], f"{row[1]:,} of {row[0]:,} files are distinct")
