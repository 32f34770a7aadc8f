"""``FileSize "s3://lake/in/" > 5 MB``: the size of every file meets a condition."""

from __future__ import annotations

from dataward.quality.conditions import Size
from dataward.quality.files import FileRule
from dataward.quality.rules.families import Scene
from dataward.spark.compare import Value

__all__ = ["FileSize"]


class FileSize(FileRule):
    """Share of files whose size (B, KB, MB, GB, TB; 1 KB is 1024 bytes) meets the condition; it must be 1, or meet ``with threshold``.

    Example::

        FileSize "files" > 2 B                 # 1, PASSED
        FileSize "files" > 1 KB with threshold > 0.5 # 0.3333, FAILED
    """

    name = "FileSize"
    condition = "size"

    def check(self) -> None:
        """Validate the statement."""
        super().check()
        condition = self.statement.condition
        if condition is None or not all(isinstance(operand, Size) for operand in condition.operands):
            self.refuse("FileSize compares with sizes", "write, for example, > 5 MB")

    def meets(self, scene: Scene) -> str:
        """Return SQL of the condition that a file must meet."""
        assert self.statement.condition is not None  # noqa: S101 - check() ensures it
        return self.statement.condition.sql(Value("length", "bigint"), scene.now)
