"""The row MACs under the content digest: HMAC by the standard, the documented encoding, sums that add up under a mask."""

import hmac
import json
import struct
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql.types import ArrayType, StringType, StructType

from dataward.integrity.digest import Sum, described, digest, extends, schema_sha256, sum_of, unmasked
from dataward.integrity.encoding import encoded_rows, macs_of, row_macs
from dataward.integrity.encoding_one import ROW_ONE, encoded_rows_one, mask_one

KEY = bytes(range(32))
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def encoded(columns):
    arrays = [column if isinstance(column, pa.Array) else pa.array(column) for column in columns]
    return encoded_rows(arrays, len(arrays[0])).to_pylist()


def by_the_page(kind, value):
    """The encoding as docs/digest.md has it, value by value."""
    if pa.types.is_struct(kind):
        return fields([(kind.field(n).type, value[kind.field(n).name]) for n in range(kind.num_fields)])
    if pa.types.is_map(kind):
        entries = [by_the_page(kind.key_type, key) + item(kind.item_type, one) for key, one in value]
        return struct.pack("<I", len(entries)) + b"".join(sorted(entries))
    if pa.types.is_list(kind):
        return struct.pack("<I", len(value)) + b"".join(item(kind.value_type, one) for one in value)
    if pa.types.is_string(kind):
        value = value.encode()
    if isinstance(value, bytes):
        return struct.pack("<I", len(value)) + value
    if pa.types.is_float64(kind):
        return b"\0\0\0\0\0\0\xf8\x7f" if value != value else struct.pack("<d", value)
    if pa.types.is_decimal(kind):
        return int(value.scaleb(kind.scale)).to_bytes(16, "little", signed=True)
    if pa.types.is_timestamp(kind):
        value = (value - EPOCH) // timedelta(microseconds=1)
    if pa.types.is_date(kind):
        value = (value - EPOCH.date()).days
    return value.to_bytes(-(-kind.bit_width // 8), "little", signed=not isinstance(value, bool))


def item(kind, value):
    return b"\0" if value is None else b"\1" + by_the_page(kind, value)


def fields(typed):
    told = b""
    for number, (kind, value) in enumerate(typed, 1):
        if value is not None:
            tag = bytes([number]) if number < 128 else bytes([number & 127 | 128, number >> 7])
            told += tag + by_the_page(kind, value)
    return told + b"\0"


INNER = pa.struct([("x", pa.int16()), ("y", pa.string())])
TYPES = {
    pa.int32(): st.integers(-(2**31), 2**31 - 1),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.bool_(): st.booleans(),
    pa.float64(): st.floats(width=64),
    pa.string(): st.text(max_size=6),
    pa.binary(): st.binary(max_size=6),
    pa.date32(): st.dates(),
    pa.timestamp("us", "UTC"): st.datetimes(timezones=st.just(timezone.utc)),
    pa.decimal128(20, 3): st.integers(-(10**19), 10**19).map(lambda n: Decimal(n).scaleb(-3)),
    pa.list_(pa.string()): st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=3),
    INNER: st.fixed_dictionaries({"x": st.one_of(st.none(), st.integers(-9, 9)), "y": st.one_of(st.none(), st.text(max_size=3))}),
    pa.map_(pa.int32(), pa.list_(INNER)): st.dictionaries(
        st.integers(-300, 300), st.one_of(st.none(), st.lists(st.one_of(st.none(), st.just({"x": 1, "y": None})), max_size=2)), max_size=3
    ).map(lambda entries: list(entries.items())),
}  # fmt: skip
ROWS = st.lists(st.tuples(*(st.one_of(st.none(), values) for values in TYPES.values())), min_size=1, max_size=8)


@settings(deadline=None)  # the first call imports much
@given(ROWS, st.data())
def test_rows_are_encoded_as_documented_also_in_a_slice_of_a_batch(rows, data):
    start = data.draw(st.integers(0, len(rows) - 1))
    columns = [pa.array([row[n] for row in rows], kind).slice(start) for n, kind in enumerate(TYPES)]
    assert encoded(columns) == [fields(zip(TYPES, row, strict=True)) for row in rows[start:]]


def test_columns_beyond_the_127th_have_numbers_of_two_bytes():
    columns = [pa.array([None, 1], pa.int8())] * 200
    assert encoded(columns) == [b"\0", fields([(pa.int8(), 1)] * 200)]


def test_any_nan_is_the_same_and_minus_zero_is_not_zero():
    nans = pa.array(np.array([0x7FF8000000000000, 0xFFF8000000000001, 0x7FF0000000000001], "<u8").view("<f8"))
    assert len(set(encoded([nans]))) == 1
    assert len(set(encoded([[0.0, -0.0]]))) == 2


def test_row_mac_is_hmac_sha256_of_the_encoded_row():
    arrays = [pa.array(["a", None, ""]), pa.array([1, 2, None], pa.int64())]
    expected = [hmac.digest(KEY, b"\2" + row, "sha256") for row in encoded_rows(arrays, 3).to_pylist()]
    assert row_macs(arrays, 3, KEY).tobytes() == b"".join(expected)


@pytest.mark.parametrize("columns", [
    [["", None]],
    [["ab", "a"], ["c", "bc"]],
    [[None, ""], ["", None]],
    [[0, None]],
    [[True, False]],
    [[date(2020, 1, 1), date(2020, 1, 2)]],
    [[datetime(2020, 1, 1, tzinfo=timezone.utc), datetime(2020, 1, 1, 0, 0, 0, 1, tzinfo=timezone.utc)]],
    [[Decimal("1.10"), Decimal("1.11")]],
    [[{"a": None}, None]],
    [[{"a": 1, "b": None}, {"a": None, "b": 1}]],
    [[["a", "b"], ["ab"]]],
    [[["a"], ["a", None]]],
    [[[], None]],
    [[b"\0", b""]],
    [[{"a": {"b": 1}, "c": None}, {"a": {"b": None}, "c": 1}]],
])  # fmt: skip
def test_different_rows_are_encoded_differently(columns):
    one, other = encoded(columns)
    assert one != other


def test_a_type_that_cannot_be_sealed_is_refused():
    with pytest.raises(TypeError, match="duration.* cannot be sealed"):
        encoded([pa.array([1], pa.duration("us"))])


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32), st.integers(0, 2**40))
def test_a_digest_gives_its_sum_back_to_who_has_the_key_alone(lanes, key, rows):
    total = sum_of(rows.to_bytes(8, "little") + lanes)
    told = digest(total, key, "ab", "schema")
    assert unmasked(told, rows, key, "ab", "schema") == total
    assert unmasked(told, rows, key, "ac", "schema") != total
    assert digest(total, key, "ac", "schema") != told
    assert digest(total, key, "ab", "other") != told


def test_the_mask_is_hmac_of_encoding_nonce_and_schema():
    expected = hmac.digest(KEY, b'\3[2,"ab","schema"]', "sha256")
    assert digest(Sum(), KEY, "ab", "schema") == expected.hex()


@given(*[st.integers(0, 2**64 - 1)] * 4)
def test_sums_add_and_subtract_modulo_two_to_the_64(a, b, c, d):
    left, right = Sum(2, (a, b, c, d)), Sum(3, (d, c, b, a))
    assert left + right - right == left
    assert (left + right).lanes == tuple((x + y) % 2**64 for x, y in zip(left.lanes, right.lanes, strict=True))


def of(text):
    import pyspark.sql.types as T

    kinds = {"int": "integer", "text": "string"}

    def field(name, kind):
        return {"name": name, "type": kind, "nullable": True, "metadata": {}}

    def kind(told):
        if isinstance(told, dict):
            return {"type": "struct", "fields": [field(name, kind(one)) for name, one in told.items()]}
        if isinstance(told, list):
            return {"type": "array", "elementType": kind(told[0]), "containsNull": True}
        return kinds.get(told, told)

    return T.StructType.fromJson(json.loads(json.dumps(kind(text))))


@pytest.mark.parametrize(("now", "before", "told"), [
    ({"a": "int"}, {"a": "int"}, True),
    ({"a": "int", "b": "text"}, {"a": "int"}, True),
    ({"a": {"x": "int", "y": "int"}, "b": "int"}, {"a": {"x": "int"}}, True),
    ({"a": [{"x": "int", "y": "int"}]}, {"a": [{"x": "int"}]}, True),
    ({"a": "int"}, {"a": "int", "b": "text"}, False),
    ({"b": "text", "a": "int"}, {"a": "int"}, False),
    ({"a": "bigint"}, {"a": "int"}, False),
    ({"a": "int"}, {"A": "int"}, False),
    ({"a": ["int"]}, {"a": "int"}, False),
])  # fmt: skip
def test_old_rows_keep_their_encoding_where_fields_are_added_at_ends(now, before, told):
    now, before = of({k: "long" if v == "bigint" else v for k, v in now.items()}), of(before)
    assert extends(described(now), described(before)) == told
    assert (schema_sha256(now) == schema_sha256(before)) == (now == before)


def test_the_schemas_hash_does_not_depend_on_comments_or_nullability():
    told = StructType.fromJson({"type": "struct", "fields": [
        {"name": "a", "type": "string", "nullable": False, "metadata": {"comment": "x"}}]})  # fmt: skip
    assert schema_sha256(told) == schema_sha256(of({"a": "text"}))


def test_encoding_1_is_that_of_older_seals():
    """The expected bytes were computed by the release that wrote encoding 1."""
    pair = pa.struct([("x", pa.int64()), ("y", pa.string())])
    columns = [
        pa.array([1, None, 3], pa.int32()),
        pa.array(["a", None, "ü"]),
        pa.array([True, False, None]),
        pa.array([1.5, None, -0.0]),
        pa.array([Decimal("1.20"), None, Decimal("-3.00")], pa.decimal128(10, 2)),
        pa.array([date(2026, 1, 2), None, None]),
        pa.array([{"x": 1, "y": "b"}, None, {"x": None, "y": ""}], pair),
        pa.array([[1, 2], None, []], pa.list_(pa.int32())),
        pa.array([None, None, None], pa.null()),
        pa.array([datetime(2026, 1, 2, 3, 4, 5), None, None], pa.timestamp("us")),
    ]
    assert macs_of(encoded_rows_one(columns, 3), ROW_ONE, b"k" * 32).tobytes().hex() == (
        "22714515138f220fa8f6d4c85f88e2b1eee07305556f4358dd88694fd13ec4603871fa220f857857c4848609dbfe066b"
        "1e7d2b8cda27e14c16bac659907901b367a8a94df2b5b4869b1d77d1f37dcfbebc059faf19acff9344b978be2bd0d4c5"
    )
    schema = StructType().add("id", "integer").add("v", ArrayType(StringType()))
    mask = b"".join(lane.to_bytes(8, "little") for lane in mask_one(b"k" * 32, "ab" * 16, schema))
    assert mask.hex() == "a35ce05f3797932a1e0ea1fe07a9d8512c5d30a4c463cdbecdd6d5721ea39d1a"
