"""state(A) + state(B) = state(A union B): of numbers, and of how often keys occur."""

from __future__ import annotations

import collections
import math
import statistics

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataward.keys.box import Box
from dataward.quality.engines import frequencies
from dataward.quality.metrics import Metric, State, aggregates, merged, state, value
from dataward.quality.metrics.keys import Counts
from tests.cases import cases

NUMBERS = st.lists(st.integers(-1000, 1000).map(float) | st.none(), max_size=12)
PARTS = st.lists(st.lists(st.tuples(*[st.integers(-1000, 1000).map(float) | st.none()] * 2), max_size=12), min_size=1, max_size=5)  # fmt: skip
KINDS = ("size", "completeness", "mean", "sum", "standard_deviation", "minimum", "maximum", "correlation")


def known(rows: list[tuple], place: int) -> list[float]:
    return [row[place] for row in rows if row[place] is not None]


def state_of(kind: str, rows: list[tuple]) -> State:
    """What Spark's aggregates come to, by another implementation."""
    xs = known(rows, 0)
    mean = statistics.fmean(xs) if xs else None
    pairs = [row for row in rows if None not in row]
    one, other = ([pair[place] for pair in pairs] for place in (0, 1))
    means = [statistics.fmean(values) if pairs else None for values in (one, other)]
    spreads = [statistics.pvariance(values) if pairs else None for values in (one, other)]
    both = statistics.fmean([(x - means[0]) * (y - means[1]) for x, y in pairs]) if pairs else None
    return {
        "size": (float(len(rows)),),
        "completeness": (float(len(xs)), float(len(rows))),
        "mean": (float(len(xs)), sum(xs) if xs else None),
        "sum": (sum(xs) if xs else None,),
        "standard_deviation": (float(len(xs)), mean, statistics.pvariance(xs) if xs else None),
        "minimum": (min(xs, default=None),),
        "maximum": (max(xs, default=None),),
        "correlation": (float(len(pairs)), *means, *spreads, both),
    }[kind]


@pytest.mark.parametrize("kind", KINDS)
@cases()  # the first case imports what it needs
@given(parts=PARTS)
def test_the_states_of_parts_add_up_to_that_of_the_whole(kind, parts):
    metric = Metric(kind, () if kind == "size" else ("x", "y") if kind == "correlation" else ("x",))
    together = merged(metric, [state_of(kind, part) for part in parts])
    whole = state_of(kind, [row for part in parts for row in part])
    assert len(whole) == len(aggregates(metric, parts=True))
    assert [together[n] is None for n in range(len(whole))] == [number is None for number in whole]
    assert [number or 0 for number in together] == pytest.approx([number or 0 for number in whole], rel=1e-9, abs=1e-6)
    left, right = value(metric, together), value(metric, whole)
    near = (
        whole[0] and kind == "correlation" and min(whole[3], whole[4]) < 1e-6
    )  # of what hardly varies nothing is told
    assert near or left == (right if right is None else pytest.approx(right, rel=1e-6, abs=1e-6, nan_ok=True))


def test_nan_and_infinity_add_up_as_in_spark():
    lowest, highest = Metric("minimum", ("x",)), Metric("maximum", ("x",))
    nan, infinity = math.nan, math.inf
    assert merged(lowest, [(nan,), (2.0,), (None,)]) == (2.0,)
    assert math.isnan(merged(highest, [(nan,), (infinity,)])[0])
    assert merged(Metric("sum", ("x",)), [(infinity,), (1.0,), (None,)]) == (infinity,)
    assert math.isnan(merged(Metric("sum", ("x",)), [(infinity,), (-infinity,)])[0])
    with pytest.raises(ValueError, match="no parts"):
        merged(lowest, [])


def test_what_is_constant_does_not_vary_in_parts_either():
    tenths = [(3.0, sum([0.1] * 3) / 3, 0.0), (1.0, 0.1, 0.0)]  # means that rounding parts
    assert tenths[0][1] != tenths[1][1]
    assert merged(Metric("standard_deviation", ("x",)), tenths)[2] == 0


def test_a_metric_finds_its_state_among_all_numbers():
    metric = Metric("compliance", ("x",), None, "x > 1", negated=True)
    numbers = dict(zip(aggregates(metric), (3.0, 4.0), strict=True)) | {"sum(y)": 9.0}
    assert value(metric, state(metric, numbers)) == 0.25


# keys

BOX = Box(b"k" * 32)
KEYS = st.lists(st.tuples(st.integers(-5, 5), st.sampled_from([0, 1, 2**62])), max_size=30)


def blocks_of(part: str, keys: list[tuple[int, int]], side: int) -> list[dict]:
    batch = pa.RecordBatch.from_pydict(
        {
            "part": pa.array([part] * (len(keys) + 1)),
            "a": pa.array([*(a for a, _ in keys), None], pa.int64()),  # null: a row that is not counted
            "b": pa.array([*(b for _, b in keys), None], pa.int64()),
        }
    )
    return [{"side": side, **row} for block in frequencies._packing(BOX)([batch]) for row in block.to_pylist()]


def spread(blocks: list[dict], buckets: int, among=None) -> list[list[pa.RecordBatch]]:
    """The batches of each bucket."""
    if not blocks:
        return []
    rows = pa.RecordBatch.from_pylist(blocks).select(["side", "part", "grouping", "state"])
    found = collections.defaultdict(list)
    for batch in frequencies._spreading(BOX, buckets, among)([rows]):
        for number in range(batch.num_rows):
            found[batch.column(0)[number].as_py()].append(batch.slice(number, 1))
    return list(found.values())


def counts_of(rows: list[tuple]) -> Counts:
    return Counts.total([row[2:-1] for row in rows])


def run(function, buckets: list[list[pa.RecordBatch]]) -> list[tuple]:
    return [tuple(row.values()) for bucket in buckets for batch in function(bucket) for row in batch.to_pylist()]


@cases()  # the first case imports what it needs
@given(kept=KEYS, gone=KEYS, fresh=KEYS, buckets=st.integers(1, 4), probed=st.booleans())
def test_keys_are_counted_over_parts_as_if_they_were_one(kept, gone, fresh, buckets, probed):
    went, came = blocks_of("q", gone, frequencies.GONE), blocks_of("q", fresh, frequencies.FRESH)
    blocks = [*blocks_of("p", kept, frequencies.KEPT), *went, *came]
    together = spread(blocks, buckets, frequencies.probes([*went, *came], BOX) if probed else None)
    now, before = collections.Counter(kept + fresh), collections.Counter(kept + gone)
    rows = run(frequencies.counting(), together)
    # Of the whole before, with what came and went.
    whole = counts_of([row for row in run(frequencies.counting(), spread(blocks, 1)) if not row[1]])
    counts = whole.moved(*(counts_of([row for row in rows if row[1] == then]) for then in (False, True)))
    assert (counts.rows, counts.keys) == (now.total(), len(now))
    assert counts.single == sum(times == 1 for times in now.values())
    assert counts.weight == pytest.approx(sum(times * math.log(times) for times in now.values()), abs=1e-9)
    moving = {*gone, *fresh} if probed else {*now, *before}
    first = {a for a, _ in moving}  # probes know the first half of a key
    twice = {key for key in now | before if (now[key] > 1 or before[key] > 1) and key[0] in first}
    assert sum(row[-1] for row in rows if row[1]) == len(twice)
    assert {row[1:] for row in run(frequencies.holding(), together)} == {
        (*key, part, part == "p", before[key] > 1, now[key] > 1)
        for part, keys in (("p", kept), ("q", fresh))
        for key in twice & {*keys}
    }


def test_a_box_opens_for_its_key_and_its_place_alone():
    shut = BOX.shut(b"something", "here")
    assert BOX.open(shut, "here") == b"something"
    assert BOX.shut(b"something", "here") != shut
    for box, data, place in (
        (BOX, shut, "there"),
        (Box(b"x" * 32), shut, "here"),
        (BOX, shut[:-1] + bytes([shut[-1] ^ 1]), "here"),
    ):
        with pytest.raises(ValueError, match="does not open"):
            box.open(data, place)
    assert "k" not in repr(BOX)
