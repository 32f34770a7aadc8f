"""The row MACs under the content digest: HMAC by the standard, an encoding that keeps different rows apart."""

import hmac
import json
from datetime import date, datetime, timezone
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataward.integrity.digest import _encode_rows, _mask, row_macs

KEY = bytes(range(32))


def encoded(columns):
    arrays = [column if isinstance(column, pa.Array) else pa.array(column) for column in columns]
    return _encode_rows(arrays, len(arrays[0])).to_pylist()


def test_row_mac_is_hmac_sha256_of_the_encoded_row():
    arrays = [pa.array(["a", None, ""]), pa.array([1, 2, None], pa.int64())]
    expected = [hmac.digest(KEY, b"\1" + row, "sha256") for row in _encode_rows(arrays, 3).to_pylist()]
    assert row_macs(arrays, 3, KEY).tobytes() == b"".join(expected)


def test_mask_is_hmac_of_nonce_schema_and_label():
    message = b"\0" + json.dumps(["ab", "schema", "file"]).encode()
    made = _mask(KEY, "ab", "schema", "file")
    assert b"".join(lane.to_bytes(8, "little") for lane in made) == hmac.digest(KEY, message, "sha256")


@pytest.mark.parametrize("columns", [
    [["", None]],
    [["ab", "a"], ["c", "bc"]],
    [[None, ""], ["", None]],
    [[0, None]],
    [[0.0, -0.0]],
    [[True, False]],
    [[date(2020, 1, 1), date(2020, 1, 2)]],
    [[datetime(2020, 1, 1, tzinfo=timezone.utc), datetime(2020, 1, 1, 0, 0, 0, 1, tzinfo=timezone.utc)]],
    [[Decimal("1.10"), Decimal("1.11")]],
    [[{"a": None}, None]],
    [[{"a": 1, "b": None}, {"a": None, "b": 1}]],
    [[["a", "b"], ["ab"]]],
    [[[], None]],
    [[b"\0", b""]],
])  # fmt: skip
def test_different_rows_are_encoded_differently(columns):
    one, other = encoded(columns)
    assert one != other


rows = st.lists(
    st.tuples(st.one_of(st.none(), st.text(max_size=8)), st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
              st.one_of(st.none(), st.floats(width=64))), max_size=30)  # fmt: skip


def lanes(table):
    columns = [pa.array([row[0] for row in table], pa.string()), pa.array([row[1] for row in table], pa.int64()),
               pa.array([row[2] for row in table], pa.float64())]  # fmt: skip
    return row_macs(columns, len(table), KEY).sum(axis=0, dtype="<u8")


@given(rows.filter(bool), rows.filter(bool), st.randoms())
def test_sum_is_order_free_and_additive(left, right, random):
    both = left + right
    random.shuffle(both)
    with np.errstate(over="ignore"):
        assert (lanes(both) == lanes(left) + lanes(right)).all()


@given(rows.filter(bool), st.data())
def test_a_slice_of_a_batch_is_encoded_like_the_rows_alone(table, data):
    start = data.draw(st.integers(0, len(table) - 1))
    column = pa.array([row[0] for row in table], pa.string())
    flags = pa.array([row[1] is not None for row in table])
    assert encoded([column.slice(start), flags.slice(start)]) == encoded([column, flags])[start:]
