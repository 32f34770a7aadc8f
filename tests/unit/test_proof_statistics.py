"""Statistics of a file hide no row: a law over values of every type, as Delta writes them and as somebody may edit them."""

import io
import json
from datetime import date, datetime, timezone
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataward.integrity.proof.statistics import hiding
from dataward.tables.deltalog.actions import Added

ROWS = {
    "i": pa.array([3, None, -1], pa.int64()),
    "d": pa.array([Decimal("1.50"), Decimal("9.99"), None], pa.decimal128(10, 2)),
    "f": pa.array([0.5, 2.0, None], pa.float64()),
    "s": pa.array(["ä", "b", None]),
    "day": pa.array([date(2026, 1, 1), date(2026, 2, 1), None]),
    "at": pa.array([datetime(2026, 1, 1, 10, 0, 0, 123_456), None, None], pa.timestamp("us")),
    "z": pa.array([datetime(2026, 1, 1, 10, 0, 0, 123_456, timezone.utc), None, None], pa.timestamp("us", "UTC")),
    "n": pa.array([{"x": 1}, {"x": 7}, None], pa.struct([("x", pa.int32())])),
    "all null": pa.array([None, None, None], pa.int64()),
    "flag": pa.array([True, None, False]),
}
LEAST = {"i": -1, "d": 1.5, "f": 0.5, "s": "b", "day": "2026-01-01", "at": "2026-01-01T10:00:00.123", "z": "2026-01-01T10:00:00.123Z",
         "n": {"x": 1}}  # fmt: skip
MOST = {"i": 3, "d": 9.99, "f": 2.0, "s": "ä\U0010ffff", "day": "2026-02-01", "at": "2026-01-01T10:00:00.123", "z": "2026-01-01T10:00:00.123Z",
        "n": {"x": 7}}  # fmt: skip
NULLS = {"i": 1, "d": 1, "f": 1, "s": 1, "day": 1, "at": 2, "z": 2, "n": {"x": 1}, "all null": 3, "flag": 1}
HIGHER = {"i": 0, "d": 1.51, "f": 0.6, "s": "c", "day": "2026-01-02", "at": "2026-01-01T10:00:00.124", "z": "2026-01-01T10:00:00.124Z",
          "n": {"x": 2}}  # fmt: skip
LOWER = {"i": 2, "d": 9.98, "f": 1.9, "s": "z", "day": "2026-01-31", "at": "2026-01-01T10:00:00.122", "z": "2026-01-01T10:00:00.122Z",
         "n": {"x": 6}}  # fmt: skip


def told(**changes):
    stats = {"numRecords": 3, "minValues": LEAST, "maxValues": MOST, "nullCount": NULLS, **changes}
    sink = io.BytesIO()
    pq.write_table(pa.table(ROWS), sink)
    return hiding(Added("a", 1, statistics=json.dumps(stats)), pq.ParquetFile(io.BytesIO(sink.getvalue())))


def test_true_statistics_hide_nothing_nor_do_wider_or_missing_ones():
    assert told() == ""
    assert told(minValues={**LEAST, "i": -100, "s": "", "gone": 3}, maxValues={}, nullCount={}) == ""
    assert told(minValues={"flag": 1, "all null": 7, "i": "text", "n": 3}) == ""


@pytest.mark.parametrize("column", LEAST)
def test_a_bound_that_leaves_out_a_value_is_named(column):
    name = "n.x" if column == "n" else column
    assert f"'{name}'" in told(minValues={**LEAST, column: HIGHER[column]})
    assert f"'{name}'" in told(maxValues={**MOST, column: LOWER[column]})
    assert f"'{name}'" in told(nullCount={**NULLS, column: {"x": 0} if column == "n" else 3})


def test_another_number_of_rows_is_named():
    assert "2 rows, and it has 3" in told(numRecords=2)
    assert told(numRecords=None) == ""
