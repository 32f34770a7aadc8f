"""List files for file rules through Spark, so that every file system that Spark reads works."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from dataward.quality.conditions import Condition
from dataward.quality.metrics import Unmeasured
from dataward.quality.rules.families import Finding, Probe, Scene
from dataward.spark.sql import literal
from dataward.tables.reason import reason

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["FileRule", "listing"]

TAGS = frozenset({"recentFiles", "uriRegex", "filterOrder"})


def listing(scene: Scene, path: str | None, tags: dict[str, Condition]) -> DataFrame:
    """List the files below a path, without those whose names begin with . or _.

    Args:
        scene: session and source of the run.
        path: a file or folder; None: the source's own files.
        tags: ``recentFiles = n`` keeps the newest n files, ``uriRegex = "..."`` those whose path contains a match of the Java
            pattern; ``filterOrder`` is the order in which the two apply (default: recentFiles first).

    Returns:
        Columns path, modificationTime, length, content.
    """
    reader = scene.spark.read.format("binaryFile").option("recursiveFileLookup", "true")
    files = reader.load(path if path is not None else scene.frame.inputFiles())
    order = (
        [str(name) for name in tags["filterOrder"].operands] if "filterOrder" in tags else ["recentFiles", "uriRegex"]
    )
    for name in order:
        if name == "recentFiles" and name in tags:
            files = files.orderBy("modificationTime", "path", ascending=[False, True]).limit(int(tags[name].numbers[0]))
        elif name == "uriRegex" and name in tags:
            files = files.where(f"path rlike {literal(str(tags[name].operands[0]))}")
    return files


class FileRule(Probe):
    """A rule about the files below a path; without a path, about the source's own files."""

    parameters = (0, 1)
    reads = "files"
    tags: ClassVar[frozenset[str]] = TAGS | {"threshold"}

    def check(self) -> None:
        """Validate the tags."""
        super().check()
        tags = dict(self.statement.tags)
        if "recentFiles" in tags and not (tags["recentFiles"].numbers or [0])[0] >= 1:
            self.refuse("'with recentFiles' needs a number of files", "write, for example, with recentFiles = 1")
        if "filterOrder" in tags and not set(tags["filterOrder"].operands) <= {"recentFiles", "uriRegex"}:
            self.refuse("'with filterOrder' lists filters", 'write with filterOrder = ["uriRegex", "recentFiles"]')

    def probe(self, scene: Scene) -> Finding:
        """List the files and measure them."""
        path = self.statement.parameters[0] if self.statement.parameters else None
        try:
            return self.look(scene, listing(scene, path, dict(self.statement.tags)))
        except Unmeasured:
            raise
        except Exception as error:
            raise Unmeasured(f"{path or 'the files of the source'}: {reason(error)}") from None

    def look(self, scene: Scene, files: DataFrame) -> Finding:
        """Return the share of files for which :meth:`meets` is true."""
        row = files.selectExpr("count(*)", f"avg(if({self.meets(scene)}, 1, 0))").first()
        if not row or not row[0]:
            raise Unmeasured("there are no files here")
        return Finding(row[1], f"{row[0]:,} file{'s' if row[0] > 1 else ''}")

    def meets(self, scene: Scene) -> str:
        """Return a condition as SQL over the listing, never null."""
        raise NotImplementedError
