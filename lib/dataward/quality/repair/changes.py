"""What repairs changed, cell by cell: of every changed row, what stood there before and what stands there now.

Two rows for one of the source: ``change`` is ``before`` or ``after``, ``changed`` names the columns that differ, ``repairs`` says what was
done (structs of treatment, column, what). A column whose type a repair changed (a text read as a date) holds what stood there before
as far as it fits the type; the text itself is in ``texts`` where the contract keeps the column readable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from dataward.quality.internal import INTERNAL
from dataward.quality.repair.working import Tally
from dataward.reserved import CHANGE, CHANGED, REPAIRS, TEXTS
from dataward.sql import column, identifier, literal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["WAS", "images", "only_changed", "remembered"]

WAS = f"{INTERNAL}was"
"""Column: the row as it came, a struct of the source's own columns."""


def remembered(frame: DataFrame, own: Iterable[str]) -> DataFrame:
    """The frame with every row's own columns as they came."""
    from pyspark.sql import functions as F

    return frame.withColumn(WAS, F.struct(*(column(name) for name in own)))


def images(frame: DataFrame, tallies: Iterable[Tally], readable: Iterable[str], beside: Iterable[str]) -> DataFrame:
    """Two whole rows for each row of a treated frame that is not what it was; of the columns ``beside`` its own these stay.

    ``readable``: the columns whose text may be told.
    """
    came = {field.name: field.dataType.simpleString() for field in frame.select(f"{WAS}.*").schema.fields}
    now = {name: kind for name, kind in frame.dtypes if name in came}
    differs = {name: _differs(name, came[name], now[name]) for name in came}
    before = ", ".join(f"{_cast(name, came[name], now[name])} as {identifier(name)}" for name in came)
    after = ", ".join(map(identifier, came))
    texts = [name for name in readable if name in came and came[name] == "string" != now[name]]
    told = {
        CHANGED: ("string", [f"if({differs[name]}, {literal(name)}, null)" for name in came]),
        REPAIRS: ("struct<treatment: string, column: string, what: string>", [_told(tally) for tally in tallies]),
        TEXTS: (
            "struct<column: string, text: string>",
            [f"if({differs[name]}, struct({literal(name)} as column, {_was(name)} as text), null)" for name in texts],
        ),
    }
    lists = [
        f"cast(array_compact(array({', '.join(some)})) as array<{kind}>) as {name}"
        for name, (kind, some) in told.items()
    ]
    both = f"array(struct('before' as {CHANGE}, {before}), struct('after' as {CHANGE}, {after}))"
    stay = [*map(identifier, beside), *told]
    rows = frame.selectExpr(*map(identifier, beside), *lists, f"{both} as images").where(f"size({CHANGED}) > 0")
    cells = [f"image.{identifier(name)}" for name in came]
    return rows.selectExpr(*stay, "explode(images) as image").selectExpr(*cells, f"image.{CHANGE}", *stay)


def only_changed(frame: DataFrame, own: Mapping[str, bool]) -> DataFrame:
    """Images without the cells that did not change; ``own``: column to whether rows are found by it, so that it stays."""
    from pyspark.sql import functions as F

    emptied = {
        name: F.expr(f"if(array_contains({CHANGED}, {literal(name)}), {identifier(name)}, null)")
        for name, stays in own.items()
        if name in frame.columns and not stays
    }
    return frame.withColumns(emptied)


def _differs(name: str, came: str, now: str) -> str:
    """SQL: the cell is not what it was; never null."""
    if "map<" in came:  # maps are not compared: no repair changes one but from null
        return f"({identifier(name)} is null <> {_was(name)} is null)"
    cell = identifier(name) if came == now else f"cast({identifier(name)} as {came})"
    return f"(not {cell} <=> {_was(name)})"


def _told(tally: Tally) -> str:
    column = literal(tally.column) if tally.column else "cast(null as string)"
    return f"if({tally.beside} is null, null, struct({literal(tally.treatment)} as treatment, {column} as column, {tally.beside} as what))"


def _cast(name: str, came: str, now: str) -> str:
    """SQL of what stood there, as far as it fits its new type. A type that stays is not spelled: fields in it may have any name."""
    return _was(name) if came == now else f"cast({_was(name)} as {now})"


def _was(name: str) -> str:
    return f"{WAS}.{identifier(name)}"
