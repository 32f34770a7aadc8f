"""``FileSize "s3://lake/in/" > 5 MB``: every file is as large as it should be."""

from __future__ import annotations

from dataward.compare import Value
from dataward.quality.conditions import Size
from dataward.quality.files import FileRule
from dataward.quality.rules.base import Scene

__all__ = ["FileSize"]


class FileSize(FileRule):
    """Share of files of that size (B, KB, MB, GB, TB; 1 KB is 1024 bytes); all must be, or ``with threshold``.

    Example::

        FileSize "files" > 2 B                 # 1, PASSED
        FileSize "files" > 1 KB with threshold > 0.5 # 0.3333, FAILED
    """

    name = "FileSize"
    condition = "size"

    def check(self) -> None:
        super().check()
        said = self.statement.condition
        if said is None or not all(isinstance(operand, Size) for operand in said.operands):
            self.refuse("FileSize compares with sizes", "write, for example, > 5 MB")

    def meets(self, scene: Scene) -> str:
        assert self.statement.condition is not None  # noqa: S101 - held by check()
        return self.statement.condition.sql(Value("length", "bigint"), scene.now)
