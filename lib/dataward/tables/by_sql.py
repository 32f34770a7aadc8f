"""A Delta table through SQL, with the methods of ``delta.tables.DeltaTable`` that Dataward uses: for Spark Connect.

Delta 3.3 has no client for Spark Connect. Conditions and values are SQL text.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dataward.spark.sql import identifier, literal
from dataward.tables.named import mark

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["SqlTable"]

MARK = "dataward_commit"
"""Column of a merge's source with the metadata of the commit."""


@dataclass(frozen=True)
class SqlTable:
    """A Delta table by its SQL name."""

    spark: SparkSession
    name: str
    called: str = "t"

    def toDF(self) -> DataFrame:  # noqa: N802 - DeltaTable's name
        """Return the rows of the newest version."""
        return self.spark.sql(f"select * from {self.name}")  # noqa: S608 - a checked name

    def history(self, limit: int | None = None) -> DataFrame:
        """Return the commits, newest first."""
        return self.spark.sql(f"describe history {self.name}" + (f" limit {int(limit)}" if limit else ""))

    def detail(self) -> DataFrame:
        """Return the table's declarations in one row."""
        return self.spark.sql(f"describe detail {self.name}")

    def delete(self, condition: str | None = None) -> None:
        """Delete rows."""
        self.spark.sql(f"delete from {self.name}" + (f" where {condition}" if condition else ""))  # noqa: S608

    def restoreToVersion(self, version: int) -> None:  # noqa: N802 - DeltaTable's name
        """Restore an earlier version."""
        self.spark.sql(f"restore table {self.name} to version as of {int(version)}").collect()

    def optimize(self) -> SqlTable:
        """Return the table, whose files :meth:`executeCompaction` joins."""
        return self

    def executeCompaction(self) -> None:  # noqa: N802 - DeltaTable's name
        """Join small files."""
        self.spark.sql(f"optimize {self.name}").collect()

    def alias(self, name: str) -> SqlTable:
        """Return the table with a name for conditions."""
        return SqlTable(self.spark, self.name, name)

    def merge(self, source: DataFrame, condition: str) -> SqlMerge:
        """Begin to merge the rows of a frame."""
        return SqlMerge(self, source, condition)


@dataclass(frozen=True)
class SqlMerge:
    """A merge, with its clauses so far."""

    table: SqlTable
    source: DataFrame
    condition: str
    clauses: tuple[str, ...] = ()
    grows: bool = False

    def withSchemaEvolution(self) -> SqlMerge:  # noqa: N802 - DeltaTable's name
        """Add columns that the table lacks: SQL of Databricks and of Spark 4."""
        return replace(self, grows=True)

    def whenMatchedUpdate(self, *, set: Mapping[str, str]) -> SqlMerge:  # noqa: A002, N802 - DeltaTable's names
        """Update matched rows."""
        pairs = ", ".join(f"{name} = {value}" for name, value in set.items())
        return self._with(f"when matched then update set {pairs}")

    def whenMatchedUpdateAll(self) -> SqlMerge:  # noqa: N802
        """Update all columns of matched rows."""
        return self._with("when matched then update set *")

    def whenMatchedDelete(self) -> SqlMerge:  # noqa: N802
        """Delete matched rows."""
        return self._with("when matched then delete")

    def whenNotMatchedInsert(self, *, values: Mapping[str, str]) -> SqlMerge:  # noqa: N802
        """Insert the other rows."""
        row = f"({', '.join(values)}) values ({', '.join(values.values())})"
        return self._with(f"when not matched then insert {row}")

    def whenNotMatchedInsertAll(self) -> SqlMerge:  # noqa: N802
        """Insert the other rows with all columns."""
        return self._with("when not matched then insert *")

    def _with(self, clause: str) -> SqlMerge:
        return replace(self, clauses=(*self.clauses, clause))

    def execute(self) -> None:
        """Merge; the frame is a temporary view meanwhile, so that no value of it is in the SQL."""
        view = f"dataward_source_{uuid.uuid4().hex}"
        # As a subquery, because an alias of the frame itself would hide the view's.
        self.source.createOrReplaceTempView(view)
        try:
            spark, called, condition, constant = self.table.spark, self.table.called, self.condition, ""
            if word := mark():
                condition, constant = f"({condition}) and s.{MARK} = {literal(word)}", f", {literal(word)} as {MARK}"
            merge = "merge with schema evolution into" if self.grows else "merge into"
            source = f"(select *{constant} from {identifier(view)}) as s"  # noqa: S608
            spark.sql(
                f"{merge} {self.table.name} as {called} using {source} on {condition} {' '.join(self.clauses)}"
            ).collect()
        finally:
            with suppress(Exception):
                self.table.spark.catalog.dropTempView(view)
