"""Deletion vectors are read as they were written, in every kind of container, and noise is refused."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataward.tables.deltalog.folder import folder
from dataward.tables.deltalog.vectors import deleted_rows, vector_bytes
from tests.cases import cases

KINDS = ("array", "bitset", "runs")


def container(values, kind):
    if kind == "array":
        return struct.pack(f"<{len(values)}H", *values)
    if kind == "bitset":
        bits = np.zeros(1 << 16, dtype=np.uint8)
        bits[values] = 1
        return np.packbits(bits, bitorder="little").tobytes()
    starts = [value for value in values if value - 1 not in set(values)]
    ends = [value for value in values if value + 1 not in set(values)]
    pairs = [number for start, end in zip(starts, ends, strict=True) for number in (start, end - start)]
    return struct.pack(f"<H{len(pairs)}H", len(starts), *pairs)


def serialised(chunks):
    """A vector from (values, kind) of each 65,536 rows, all in one bitmap."""
    kept = [(number, values, kind) for number, (values, kind) in enumerate(chunks) if values]
    with_runs = any(kind == "runs" for _, _, kind in kept)
    flags = sum(1 << number for number, (_, _, kind) in enumerate(kept) if kind == "runs")
    head = struct.pack("<I", 12347 | (len(kept) - 1) << 16) + flags.to_bytes((len(kept) + 7) // 8, "little") if with_runs else struct.pack("<II", 12346, len(kept))  # fmt: skip
    keys = b"".join(struct.pack("<HH", number, len(values) - 1) for number, values, _ in kept)
    offsets = bytes(4 * len(kept)) if not with_runs or len(kept) >= 4 else b""  # readers in sequence need none
    return struct.pack("<iqI", 1681511377, 1, 0) + head + keys + offsets + b"".join(container(v, k) for _, v, k in kept)


def values_of(draw, kind, rows):
    if kind == "bitset":
        start = draw(st.integers(0, rows - 4200))
        return sorted({*range(start, start + 4097), *draw(st.sets(st.integers(0, rows - 1), max_size=20))})
    return sorted(draw(st.sets(st.integers(0, rows - 1), max_size=60)))


@st.composite
def vectors(draw):
    count = draw(st.integers(1, 5))
    kinds = [draw(st.sampled_from(KINDS)) for _ in range(count)]
    chunks = [(values_of(draw, kind, 60_000), kind) for kind in kinds]
    return chunks if any(values for values, _ in chunks) else [([7], "array")]


@cases()
@given(vectors())
def test_a_vector_is_read_as_it_was_written(chunks):
    expected = {(number << 16) + value for number, (values, _) in enumerate(chunks) for value in values}
    rows = max(expected) + 1
    assert set(np.flatnonzero(deleted_rows(serialised(chunks), rows)).tolist()) == expected
    with pytest.raises(ValueError, match="rows that the file does not have"):
        deleted_rows(serialised(chunks), rows - 1)


@cases()
@given(vectors(), st.data())
def test_a_cut_or_changed_vector_is_refused_or_read_and_never_a_crash(chunks, data):
    whole = serialised(chunks)
    at = data.draw(st.integers(0, len(whole) - 1))
    for noise in (whole[:at], whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]):
        try:
            assert len(deleted_rows(noise, 400_000)) == 400_000
        except ValueError:
            continue


def test_a_vector_in_a_file_is_found_by_its_offset_and_its_checksum(tmp_path):
    first, second = serialised([([1], "array")]), serialised([([0, 2], "runs")])
    framed = [len(one).to_bytes(4, "big") + one + zlib.crc32(one).to_bytes(4, "big") for one in (first, second)]
    (tmp_path / "v.bin").write_bytes(b"\1" + b"".join(framed))
    table = folder(str(tmp_path))
    assert vector_bytes(table, "uABC@1", "v.bin") == first
    assert vector_bytes(table, f"uA@5C@{1 + len(framed[0])}", "v.bin") == second
    for wrong in ("uABC@2", "uABC", "uABC@99999"):
        with pytest.raises(ValueError, match="vector"):
            vector_bytes(table, wrong, "v.bin")


def test_an_inline_vector_is_in_base_85_as_in_deltas_protocol():
    # The example of Delta's protocol: rows 3, 4, 7, 11, 18, 29.
    data = vector_bytes(folder("."), "iwi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L", None)
    assert np.flatnonzero(deleted_rows(data[:40], 30)).tolist() == [3, 4, 7, 11, 18, 29]
