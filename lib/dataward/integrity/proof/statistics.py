"""Compare the statistics of data files with their rows: readers skip files by them, so wrong ones hide rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dataward.tables.deltalog.actions import Added

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

__all__ = ["hiding"]

MILLISECOND = timedelta(milliseconds=1)
"""Times in statistics are cut to milliseconds; readers allow for it."""


def hiding(added: Added, file: pq.ParquetFile) -> str:
    """Return why the statistics of a file could make readers skip rows of it; empty where they cannot.

    Compares the number of rows, and least and greatest values and nulls of each column whose type is understood.
    """
    told = json.loads(added.statistics or "{}")
    if not isinstance(told, dict):
        return "they are no JSON object"
    rows = told.get("numRecords")
    if rows is not None and rows != file.metadata.num_rows:
        return f"they say {str(rows)[:20]} rows, and it has {file.metadata.num_rows}"
    bounds = {name: _leaves(told.get(name)) for name in ("minValues", "maxValues", "nullCount")}
    wanted = {path for leaves in bounds.values() for path in leaves}
    names = {path[0] for path in wanted} & set(file.schema_arrow.names)
    found = file.read(sorted(names))
    for path in sorted(wanted):
        column = _column(found, path)
        if column is not None and not _right(column, *(bounds[name].get(path) for name in bounds)):
            return f"those of column '{'.'.join(path)}' leave out values that it has"
    return ""


def _leaves(told: Any, above: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Return the values of statistics by the path of their column."""
    found: dict[tuple[str, ...], Any] = {}
    for name, value in told.items() if isinstance(told, Mapping) else ():
        found |= _leaves(value, (*above, name)) if isinstance(value, Mapping) else {(*above, name): value}
    return found


def _column(found: pa.Table, path: tuple[str, ...]) -> pa.Array | None:
    import pyarrow as pa

    if path[0] not in found.column_names:
        return None
    column: pa.Array = found[path[0]].combine_chunks()
    for name in path[1:]:
        if not pa.types.is_struct(column.type) or column.type.get_field_index(name) < 0:
            return None
        column = column.flatten()[column.type.get_field_index(name)]
    return column


def _right(column: pa.Array, least: Any, most: Any, nulls: Any) -> bool:
    import pyarrow.compute as pc

    if nulls is not None and nulls != column.null_count:
        return False
    if (least is None and most is None) or column.null_count == len(column):
        return True
    try:
        return all(low <= high for low, high in _pairs(pc.min_max(column).as_py(), least, most))
    except (ValueError, TypeError, ArithmeticError, NotImplementedError):
        return True  # a type without an order that is known here


def _pairs(outer: dict[str, Any], least: Any, most: Any) -> Iterator[tuple[Any, Any]]:
    """Yield what must be in order: the stated least value and the true one, the true greatest value and the stated one."""
    if least is not None:
        yield _stated(least, outer["min"]), _comparable(outer["min"])
    if most is not None:
        slack = MILLISECOND if isinstance(outer["max"], datetime) else None
        stated = _stated(most, outer["max"])
        yield _comparable(outer["max"]), stated + slack if slack else stated


def _comparable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode()  # as Spark orders text
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=timezone.utc)
    if isinstance(value, date):
        return value
    return Decimal(str(value))


def _stated(text: Any, like: Any) -> Any:
    """Return a value of statistics in the type of a column's value."""
    if isinstance(like, datetime):
        return _comparable(datetime.fromisoformat(str(text).replace("Z", "+00:00")))
    if isinstance(like, date):
        return date.fromisoformat(str(text)[:10])
    return _comparable(str(text) if isinstance(like, str) else text)
