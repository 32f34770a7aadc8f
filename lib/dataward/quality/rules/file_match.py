"""``FileMatch "s3://in/" "s3://archive/"``: the same files, or files of known checksums."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataward.quality.files import TAGS, FileRule, listing
from dataward.quality.metrics import Unmeasured
from dataward.quality.rules.families import Finding, Scene
from dataward.spark.sql import literal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["FileMatch"]

ALGORITHMS = {"SHA-256": "sha2(content, 256)", "SHA-1": "sha1(content)", "MD5": "md5(content)"}


class FileMatch(FileRule):
    """Share of files with known content; it must be 1.

    ``FileMatch PATH in ["checksum", ...]`` compares checksums, with ``hashAlgorithm`` SHA-256 (default), SHA-1 or MD5;
    ``FileMatch PATH PATH`` compares the sets of contents of two folders. Reads the files completely, each up to 2 GB.

    Example::

        FileMatch "files" "files"              # 1, PASSED
        FileMatch "files" in ["c4ca4238a0b923820dcc509a6f75849b"] with hashAlgorithm = "MD5" # 0, FAILED
    """

    name = "FileMatch"
    parameters = (0, 2)
    condition = "checksums"
    condition_optional = True
    tags = TAGS | {"hashAlgorithm"}

    def check(self) -> None:
        """Validate the statement."""
        super().check()
        condition, count = self.statement.condition, len(self.statement.parameters)
        if (condition is None) != (count == 2):
            self.refuse("FileMatch takes two paths, or one and checksums", 'write FileMatch "a" "b" or "a" in ["..."]')
        if condition is not None and (
            condition.operator not in ("in", "=") or not all(isinstance(o, str) for o in condition.operands)
        ):
            self.refuse("FileMatch compares with checksums", 'write in ["checksum", ...]')
        if self._algorithm() not in ALGORITHMS:
            self.refuse(f"hash algorithm '{self._algorithm()}' is unknown", f"use {', '.join(ALGORITHMS)}")

    def _algorithm(self) -> str:
        setting = self.statement.tag("hashAlgorithm")
        return str(setting.operands[0]).upper() if setting else "SHA-256"

    def look(self, scene: Scene, files: DataFrame) -> Finding:
        """Measure the files."""
        condition = self.statement.condition
        if condition is not None:
            return super().look(scene, files)
        from pyspark.sql import functions as F

        others = listing(scene, self.statement.parameters[1], dict(self.statement.tags))
        sides = files.withColumn("here", F.lit(True)).unionByName(others.withColumn("here", F.lit(False)))
        content = sides.groupBy(F.expr(ALGORITHMS[self._algorithm()]).alias("content"))
        row = content.agg(F.count_distinct("here").alias("sides")).selectExpr("count(*)", "count_if(sides = 2)").first()
        if not row or not row[0]:
            raise Unmeasured("there are no files here")
        return Finding(row[1] / row[0], f"{row[1]:,} of {row[0]:,} contents are on both sides")

    def meets(self, scene: Scene) -> str:
        """Return SQL of the condition that a file must meet."""
        assert self.statement.condition is not None  # noqa: S101 - check() ensures it
        known = ", ".join(literal(str(operand).lower()) for operand in self.statement.condition.operands)
        return f"{ALGORITHMS[self._algorithm()]} in ({known})"
