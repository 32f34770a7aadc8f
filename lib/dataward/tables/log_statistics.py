"""Keep minima and maxima of sensitive columns out of Delta's log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dataward.contract import Location
from dataward.spark.sql import identifier, literal, names
from dataward.tables import delta

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["statistics", "tighten"]


def statistics(stats: Sequence[str]) -> dict[str, str]:
    """Return table properties that keep every column but these out of the log's minima and maxima."""
    if stats:
        return {"delta.dataSkippingStatsColumns": ",".join(map(identifier, stats))}
    return {"delta.dataSkippingNumIndexedCols": "0"}


def tighten(spark: SparkSession, place: Location, stats: Sequence[str]) -> None:
    """Restrict an existing table's statistics to allowed columns, before rows of this run are written to it."""
    if (present := delta.newest(spark, place)) is None:
        return
    properties = present.properties
    named = properties.get("delta.dataSkippingStatsColumns")
    allowed = {name.lower() for name in stats}
    if named is not None and {name.lower() for name in names(named)} <= allowed:
        return
    if named is None and properties.get("delta.dataSkippingNumIndexedCols") == "0":
        return
    # Only existing columns can be named (an overwrite may add others), and no partition column.
    there = [name for name in present.schema.names if name not in present.partition_by]
    wanted = statistics([name for name in there if name.lower() in allowed])
    if named is not None:
        spark.sql(
            f"alter table {delta.identifier(spark, place)} unset tblproperties ('delta.dataSkippingStatsColumns')"
        )
    assignments = ", ".join(f"{literal(key)} = {literal(value)}" for key, value in wanted.items())
    spark.sql(f"alter table {delta.identifier(spark, place)} set tblproperties ({assignments})")
