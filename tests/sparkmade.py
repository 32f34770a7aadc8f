"""Tables of thirty versions that Spark wrote, of every kind that the proof must know, and what owners let Spark do to them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from tests.deltamade import Table

__all__ = ["KINDS", "OPERATIONS", "operated", "taken", "thirty_of"]

KINDS = {
    "append": {},
    "merge": {},
    "partitioned": {},
    "vectors": {"delta.enableDeletionVectors": "true"},
    "checkpointed": {"delta.checkpointPolicy": "v2", "delta.appendOnly": "true"},
}
SESSION = {
    "spark.databricks.delta.allFilesInCrc.enabled": "true",
    "spark.databricks.delta.retentionDurationCheck.enabled": "false",
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",  # tasks by which VACUUM lists a folder
}


def thirty_of(spark: SparkSession, kind: str, root: Path) -> Table:
    """Write thirty versions as runs of Dataward commit them: r0 creates the table; the merge's checkpoints have several parts."""
    with _settings(
        spark, {**SESSION, "spark.databricks.delta.checkpoint.partSize": "8" if kind == "merge" else "1000"}
    ):
        properties = {"delta.checkpointInterval": "10", **KINDS[kind]}
        listed = ", ".join(f"'{name}' = '{value}'" for name, value in properties.items())
        by = "PARTITIONED BY (mail)" if kind == "partitioned" else ""
        _named(spark, 0)
        spark.sql(f"CREATE TABLE delta.`{root}` (id BIGINT, mail STRING) USING delta {by} TBLPROPERTIES ({listed})")
        for number in range(1, 30):
            _named(spark, number)
            fresh = spark.createDataFrame([(10 * number, "x@y.z"), (10 * number + 1, "u v@w")], "id long, mail string")
            if kind == "merge" and number % 2 == 0:
                fresh = spark.createDataFrame([(5 * number, "n@e.w"), (10 * number, "x@y.z")], "id long, mail string")
                fresh.coalesce(1).createOrReplaceTempView("fresh")
                spark.sql(
                    f"MERGE INTO delta.`{root}` t USING fresh s ON t.id = s.id "
                    "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
                )
            elif kind == "vectors" and number % 3 == 0:
                spark.sql(f"DELETE FROM delta.`{root}` WHERE id = {10 * (number - 1)}")
            else:
                fresh.coalesce(1).write.format("delta").mode("append").save(str(root))
    return taken(root, kind)


def taken(root: Path, kind: str) -> Table:
    """Return a written table for tests that go on by hand."""
    table = Table(root, kind == "partitioned", checkpoints="v2" if kind == "checkpointed" else "single")
    for path in sorted(table.log.glob("[0-9]*.json")):
        if path.name.count(".") == 1:
            table.version = int(path.stem)
            for line in path.read_text().splitlines():
                for action, body in json.loads(line).items():
                    table._note(action, body)
    return table


def _named(spark: SparkSession, number: int | None) -> None:
    name = "spark.databricks.delta.commitInfo.userMetadata"
    if number is None:
        spark.conf.unset(name)
    else:
        spark.conf.set(name, json.dumps({"dataward": 1, "run_id": f"r{number}"}))


class _settings:  # noqa: N801 - used like a function
    """Settings of the session while a block runs."""

    def __init__(self, spark: SparkSession, settings: dict[str, str]) -> None:
        self.spark, self.settings = spark, settings

    def __enter__(self) -> None:
        self.before = {name: self.spark.conf.get(name, None) for name in self.settings}
        for name, value in self.settings.items():
            self.spark.conf.set(name, value)

    def __exit__(self, *_: Any) -> None:
        _named(self.spark, None)
        for name, value in self.before.items():
            self.spark.conf.unset(name) if value is None else self.spark.conf.set(name, value)


def sql(*statements: str) -> Callable[[SparkSession, Path], None]:
    def run(spark: SparkSession, root: Path) -> None:
        for statement in statements:
            spark.sql(statement.format(t=f"delta.`{root}`"))

    return run


def checkpoint(spark: SparkSession, root: Path) -> None:
    log = spark.sparkContext._jvm.org.apache.spark.sql.delta.DeltaLog
    log.clearCache()
    log.forTable(spark._jsparkSession, str(root)).checkpoint()


def cleanup(spark: SparkSession, root: Path) -> None:
    """What Delta itself removes from a log that is older than its retention, when it writes a checkpoint."""
    for file in (root / "_delta_log").iterdir():
        os.utime(file, (1_600_000_000, 1_600_000_000))
    spark.sql(f"ALTER TABLE delta.`{root}` SET TBLPROPERTIES ('team' = 'me')")
    checkpoint(spark, root)


def moved(spark: SparkSession, root: Path) -> None:
    root.rename(root.with_name("elsewhere"))
    shutil.copytree(root.with_name("elsewhere"), root)
    shutil.rmtree(root.with_name("elsewhere"))


MAPPED = "ALTER TABLE {t} SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name', 'delta.minReaderVersion' = '2', 'delta.minWriterVersion' = '5')"
OPERATIONS: dict[str, tuple[str, str | None, Callable[[SparkSession, Path], None]]] = {
    "optimize": ("append", "commit-neutral", sql("OPTIMIZE {t}")),
    "zorder": ("append", "commit-neutral", sql("OPTIMIZE {t} ZORDER BY (id)")),
    "optimize a partition": ("partitioned", "commit-neutral", sql("OPTIMIZE {t} WHERE mail = 'u v@w'")),
    "optimize, then vacuum": ("append", "commit-unproven", sql("OPTIMIZE {t}", "VACUUM {t} RETAIN 0 HOURS")),
    "optimize vectors": ("vectors", "commit-neutral", sql("OPTIMIZE {t}")),
    "purge vectors": ("vectors", "commit-neutral", sql("REORG TABLE {t} APPLY (PURGE)")),
    "vacuum": ("merge", None, sql("VACUUM {t} RETAIN 0 HOURS")),
    "vacuum vectors": ("vectors", None, sql("VACUUM {t} RETAIN 0 HOURS")),
    "checkpoint": ("append", None, checkpoint),
    "checkpoint v2": ("checkpointed", None, checkpoint),
    "log cleanup": ("append", "log-cleaned", cleanup),
    "restore": ("append", "commit-neutral", sql("RESTORE TABLE {t} TO VERSION AS OF 20")),
    "restore after merges": ("merge", "commit-neutral", sql("RESTORE TABLE {t} TO VERSION AS OF 17")),
    "restore vectors": ("vectors", "commit-neutral", sql("RESTORE TABLE {t} TO VERSION AS OF 11")),
    "add column": ("append", "commit-neutral", sql("ALTER TABLE {t} ADD COLUMN (more STRING)")),
    "rename column": ("append", "commit-neutral", sql(MAPPED, "ALTER TABLE {t} RENAME COLUMN id TO number")),
    "drop column": ("append", "commit-neutral", sql(MAPPED, "ALTER TABLE {t} DROP COLUMN mail")),
    "add constraint": ("partitioned", "commit-neutral", sql("ALTER TABLE {t} ADD CONSTRAINT c CHECK (id > 0)")),
    "drop constraint": (
        "append",
        "commit-neutral",
        sql("ALTER TABLE {t} ADD CONSTRAINT c CHECK (id > 0)", "ALTER TABLE {t} DROP CONSTRAINT c"),
    ),
    "comment on a column": ("append", "commit-neutral", sql("ALTER TABLE {t} ALTER COLUMN id COMMENT 'the id'")),
    "set properties": ("merge", "commit-neutral", sql("ALTER TABLE {t} SET TBLPROPERTIES ('team' = 'me')")),
    "upgrade protocol": (
        "append",
        "commit-neutral",
        sql("ALTER TABLE {t} SET TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')"),
    ),
    "row tracking": (
        "append",
        "commit-neutral",
        sql("ALTER TABLE {t} SET TBLPROPERTIES ('delta.enableRowTracking' = 'true')"),
    ),
    "cluster": ("append", "commit-neutral", sql("ALTER TABLE {t} CLUSTER BY (id)", "OPTIMIZE {t}")),
    "symlink manifest": ("append", None, sql("GENERATE symlink_format_manifest FOR TABLE {t}")),
    "readers": ("partitioned", None, sql("SELECT * FROM {t} VERSION AS OF 9", "DESCRIBE HISTORY {t}")),
    "moved folder": ("partitioned", None, moved),
}
"""Kind of the table, code of the note that names the operation, and what Spark does."""


def operated(spark: SparkSession, name: str, root: Path) -> None:
    """Let Spark do an operation to a copy of a table."""
    with _settings(spark, SESSION):
        OPERATIONS[name][2](spark, root)
