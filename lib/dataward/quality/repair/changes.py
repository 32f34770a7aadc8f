"""List the cells that repairs changed: two images, before and after, of every changed row.

Of the two rows, ``change`` is ``before`` or ``after``, ``changed`` names the columns that differ, and ``repairs`` lists the repairs
(structs of treatment, column, what). Where a repair changed the type of a column (a text read as a date), the image before holds
the old value if it can be cast to the new type; ``texts`` holds the original text where the contract keeps the column readable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from dataward.contract.reserved import CHANGE, CHANGED, REPAIRS, TEXTS
from dataward.quality.internal import INTERNAL
from dataward.quality.repair.working import Tally
from dataward.spark.sql import column, identifier, literal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["WAS", "images", "only_changed", "remembered"]

WAS = f"{INTERNAL}was"
"""Column of the original row, a struct of the source's own columns."""


def remembered(frame: DataFrame, own: Iterable[str]) -> DataFrame:
    """Add a column with the original row."""
    from pyspark.sql import functions as F

    return frame.withColumn(WAS, F.struct(*(column(name) for name in own)))


def images(frame: DataFrame, tallies: Iterable[Tally], readable: Iterable[str], beside: Iterable[str]) -> DataFrame:
    """Return two whole images of each changed row.

    Args:
        frame: a repaired frame with :data:`WAS`.
        tallies: the repairs.
        readable: columns whose original text may be shown.
        beside: helper columns that the images keep.
    """
    old_types = {field.name: field.dataType.simpleString() for field in frame.select(f"{WAS}.*").schema.fields}
    new_types = {name: kind for name, kind in frame.dtypes if name in old_types}
    differs = {name: _differs(name, old_types[name], new_types[name]) for name in old_types}
    before = ", ".join(f"{_cast(name, old_types[name], new_types[name])} as {identifier(name)}" for name in old_types)
    after = ", ".join(map(identifier, old_types))
    texts = [name for name in readable if name in old_types and old_types[name] == "string" != new_types[name]]
    details = {
        CHANGED: ("string", [f"if({differs[name]}, {literal(name)}, null)" for name in old_types]),
        REPAIRS: ("struct<treatment: string, column: string, what: string>", [_repair_of(tally) for tally in tallies]),
        TEXTS: (
            "struct<column: string, text: string>",
            [f"if({differs[name]}, struct({literal(name)} as column, {_was(name)} as text), null)" for name in texts],
        ),
    }
    lists = [
        f"cast(array_compact(array({', '.join(items)})) as array<{kind}>) as {name}"
        for name, (kind, items) in details.items()
    ]
    both = f"array(struct('before' as {CHANGE}, {before}), struct('after' as {CHANGE}, {after}))"
    stay = [*map(identifier, beside), *details]
    rows = frame.selectExpr(*map(identifier, beside), *lists, f"{both} as images").where(f"size({CHANGED}) > 0")
    cells = [f"image.{identifier(name)}" for name in old_types]
    return rows.selectExpr(*stay, "explode(images) as image").selectExpr(*cells, f"image.{CHANGE}", *stay)


def only_changed(frame: DataFrame, own: Mapping[str, bool]) -> DataFrame:
    """Set unchanged cells of images to null; ``own`` maps a column to whether it identifies rows and therefore stays."""
    from pyspark.sql import functions as F

    emptied = {
        name: F.expr(f"if(array_contains({CHANGED}, {literal(name)}), {identifier(name)}, null)")
        for name, identifies in own.items()
        if name in frame.columns and not identifies
    }
    return frame.withColumns(emptied)


def _differs(name: str, came: str, now: str) -> str:
    """Return SQL, never null: whether the cell differs from the original."""
    if "map<" in came:  # maps cannot be compared; repairs only replace a null map
        return f"({identifier(name)} is null <> {_was(name)} is null)"
    cell = identifier(name) if came == now else f"cast({identifier(name)} as {came})"
    return f"(not {cell} <=> {_was(name)})"


def _repair_of(tally: Tally) -> str:
    """Return SQL of a repair as struct; null where it did not apply."""
    column = literal(tally.column) if tally.column else "cast(null as string)"
    return f"if({tally.beside} is null, null, struct({literal(tally.treatment)} as treatment, {column} as column, {tally.beside} as what))"


def _cast(name: str, came: str, now: str) -> str:
    """Return SQL of the original cell cast to its new type; an unchanged type is not written, as its fields may have any name."""
    return _was(name) if came == now else f"cast({_was(name)} as {now})"


def _was(name: str) -> str:
    return f"{WAS}.{identifier(name)}"
