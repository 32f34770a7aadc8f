"""Profiles without Spark: sketches that add up, correlations, drift."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataward.profiling.column import ColumnProfile, Frequent, column_profile
from dataward.profiling.drift import drifts
from dataward.profiling.sketch import FREQUENT, HASHES, Sketch, _mixed, kind_of
from dataward.profiling.together import Together
from tests.cases import cases


def hashes(values):
    texts = values.fill_null("").to_numpy(zero_copy_only=False)
    return pa.array(pd.util.hash_array(texts, categorize=False).astype(np.int64))


def sketched(*batches):
    sketch = Sketch(kind_of(batches[0].type))
    for batch in batches:
        sketch.look_at(batch, hashes(batch) if sketch.kind == "text" else None)
    return sketch


def merged(*batches):
    first, *rest = (Sketch.of_data(json.loads(json.dumps(sketched(batch).as_data()))) for batch in batches)
    for other in rest:
        first.add(other)
    return first


def facts(sketch, kind):
    column = column_profile("c", kind, sketch)
    return (column.rows, column.missing, column.distinct, column.low, column.high, column.zeros, column.negatives, column.empty,
            column.frequent, column.undercounted, column.lengths and (column.lengths.low, column.lengths.high), dict(column.shapes))  # fmt: skip


NUMBERS = st.lists(st.none() | st.integers(-50, 50) | st.floats(-1e6, 1e6), max_size=60)
TEXTS = st.lists(
    st.none() | st.text(st.characters(codec="utf-8"), max_size=4) | st.sampled_from(["a", "b", "7", ""]), max_size=60
)


@cases(1.5)
@given(NUMBERS, NUMBERS)
def test_sketches_of_numbers_add_up(one, other):
    a, b = (pa.array([None if v is None else float(v) for v in values], pa.float64()) for values in (one, other))
    both, whole = merged(a, b), sketched(pa.concat_arrays([a, b]))
    assert facts(both, "double") == facts(whole, "double")
    assert both.mean == pytest.approx(whole.mean, abs=1e-6)
    assert both.squares == pytest.approx(whole.squares, rel=1e-9, abs=1e-3)
    known = [float(v) for v in (*one, *other) if v is not None]
    if known:
        column = column_profile("c", "double", both)
        assert (column.low, column.high, column.distinct) == (min(known), max(known), len({v + 0.0 for v in known}))
        assert column.mean == pytest.approx(np.mean(known), abs=1e-6)
        assert column.deviation == pytest.approx(np.std(known), rel=1e-6, abs=1e-6)
        low, high = (np.quantile(known, 0.5, method=method) for method in ("lower", "higher"))
        assert low <= column.quantiles[50] <= high
        assert sum(one.count for one in column.histogram) == pytest.approx(len(known))


@cases(1.5)
@given(TEXTS, TEXTS)
def test_sketches_of_texts_add_up(one, other):
    a, b = pa.array(one, pa.string()), pa.array(other, pa.string())
    both, whole = merged(a, b), sketched(pa.concat_arrays([a, b]))
    assert facts(both, "string") == facts(whole, "string")
    known = [v for v in (*one, *other) if v is not None]
    column = column_profile("c", "string", both)
    assert column.distinct == len(set(known))
    assert all(known.count(found.value) == found.count for found in column.frequent)
    assert column.empty == known.count("")


def test_many_values_are_estimated_within_what_is_told():
    draw = np.random.default_rng(3)
    batches = [pa.array(draw.integers(0, 300_000, 20_000)) for _ in range(20)]
    column = column_profile("c", "bigint", merged(*batches))
    true = len(np.unique(np.concatenate([batch.to_numpy() for batch in batches])))
    assert column.distinct_error == (HASHES - 2) ** -0.5
    assert abs(column.distinct / true - 1) < 4 * column.distinct_error
    values = np.sort(np.concatenate([batch.to_numpy() for batch in batches]))
    ranks = np.searchsorted(values, column.quantiles) / len(values)
    assert np.abs(ranks - np.linspace(0, 1, 101)).max() < 0.03


def test_frequent_values_are_found_among_many():
    draw = np.random.default_rng(4)
    batches = []
    for _ in range(10):
        values = [f"rare {n}" for n in draw.integers(0, 10**9, 5000)] + ["often"] * 700 + ["now and then"] * 40
        draw.shuffle(values)
        batches.append(pa.array(values))
    sketch = merged(*batches)
    assert len(sketch.frequent) <= 4 * FREQUENT
    column = column_profile("c", "string", sketch)
    assert column.frequent[0] == Frequent("often", 7000)
    assert Frequent("now and then", 400) in column.frequent
    assert 0 < column.undercounted < 200


@cases()
@given(st.integers(0, 10**6))
def test_no_count_is_lower_than_is_told(seed):
    draw = np.random.default_rng(seed)
    batches = [pa.array(np.repeat(np.arange(900), draw.integers(1, 40, 900))) for _ in range(2)]
    batches.append(pa.array(np.repeat(np.arange(500, 3500), draw.integers(1, 9, 3000))))
    distinct = 8 * FREQUENT
    counts = draw.permutation(draw.integers(1, 400, distinct))
    one = sketched(pa.array(np.repeat(draw.permutation(distinct), counts)))
    assert one.lost >= np.sort(counts)[-FREQUENT - 1]
    sketch = merged(*batches)
    true = np.bincount(np.concatenate([batch.to_numpy() for batch in batches]), minlength=3500)
    assert sketch.lost > 0
    for value, count in enumerate(true.tolist()):
        assert 0 <= count - sketch.frequent.get(value, 0) <= sketch.lost


@pytest.mark.parametrize(("values", "inferred", "share"), [
    (["1", " 22 ", "-3"], "integer", 1), (["1.5", "2", "1e3"], "number", 1), (["2026-01-31"] * 3, "date", 1),
    (["2026-01-31 10:00", "2026-01-31T10:00:00Z"], "timestamp", 1), (["yes", "no", "TRUE"], "boolean", 1),
    (["1"] * 19 + ["x"], "integer", 0.95), (["1", "x"], None, None), ([], None, None),
])  # fmt: skip
def test_what_texts_stand_for(values, inferred, share):
    column = column_profile("c", "string", sketched(pa.array(values, pa.string())))
    assert (column.inferred, column.inferred_share) == (inferred, share)


def test_shapes_times_flags_and_nothing():
    column = column_profile("c", "string", sketched(pa.array(["AB-123", "XYZ-9", "Ann Lee"])))
    assert dict(column.shapes) == {"A-9": pytest.approx(2 / 3), "Aa Aa": pytest.approx(1 / 3)}
    moments = pa.array([0, 86_400_000_000, None], pa.timestamp("us", "UTC"))
    column = column_profile("c", "timestamp", sketched(moments))
    assert (column.written(column.low), column.written(column.high)) == ("1970-01-01 00:00:00", "1970-01-02 00:00:00")
    column = column_profile("c", "date", sketched(pa.array([20000, 20000, 20001], pa.date32())))
    assert (column.frequent[0], column.written(column.high)) == (Frequent("2024-10-04", 2), "2024-10-05")
    column = column_profile("c", "boolean", sketched(pa.array([True, True, False, None])))
    assert column.frequent == (Frequent("true", 2), Frequent("false", 1))
    column = column_profile("c", "double", sketched(pa.array([float("nan"), float("inf"), 1.0])))
    assert (column.not_numbers, column.low, column.high) == (2, 1, 1)
    column = column_profile("c", "double", sketched(pa.array([None, None], pa.float64())))
    assert (column.completeness, column.quantiles, column.low) == (0, (), None)
    hidden = column_profile("c", "string", sketched(pa.array(["CANARY"] * 3))).hidden("password")
    assert "CANARY" not in repr(hidden)


@cases(0.6)
@given(st.integers(0, 10**6))
def test_correlations_equal_those_of_pandas_and_add_up(seed):
    draw = np.random.default_rng(seed)
    numbers = draw.normal(1e6, 5, (200, 4))
    numbers[:, 1] = numbers[:, 0] * -2 + draw.normal(0, 3, 200)
    numbers[draw.random((200, 4)) < 0.2] = np.nan
    numbers[:, 3] = 7.0
    parts = Together.of(numbers[:30]).plus(Together.of(numbers[30:31])).plus(Together.of(numbers[31:]))
    wanted = pd.DataFrame(numbers).corr(min_periods=3).to_numpy()
    np.testing.assert_allclose(parts.correlations(), wanted, atol=1e-6)


# drift


def profiled(values, kind="double", name="c"):
    return column_profile(name, kind, sketched(values))


def test_what_stays_the_same_does_not_drift():
    draw = np.random.default_rng(1)
    one, other = (profiled(pa.array(draw.normal(0, 1, 20_000))) for _ in range(2))
    (drift,) = drifts([one], [other])
    assert drift.told == ""
    assert (drift.psi, drift.ks) == (pytest.approx(0, abs=0.01), pytest.approx(0, abs=0.06))


def test_what_moves_is_told():
    draw = np.random.default_rng(1)
    first = [
        profiled(pa.array(draw.normal(0, 1, 20_000)), name="moved"),
        profiled(pa.array(["a", "b"] * 50), "string", "kinds"),
        profiled(pa.array([1.0, None] * 50), name="there"),
        profiled(pa.array([1.0]), name="gone"),
    ]
    second = [
        profiled(pa.array(draw.normal(1, 1, 20_000)), name="Moved"),
        profiled(pa.array(["a"] * 50 + ["c"] * 50), "string", "kinds"),
        profiled(pa.array([1.0, 1.0] * 50), name="there"),
        profiled(pa.array([1.0]), name="new"),
    ]
    moved, kinds, there, new, gone = drifts(first, second)
    assert moved.severe
    assert moved.told == "the distribution moved much"
    # Of two normal distributions one standard deviation apart: 2 * N(1/2) - 1; and PSI is near the divergence, 1.
    assert moved.ks == pytest.approx(0.383, abs=0.05)
    assert moved.psi == pytest.approx(0.93, abs=0.2)
    assert (kinds.new, kinds.lost) == (("c",), ("b",))
    assert there.told == "completeness rose by 50.0%"
    assert (new.told, gone.told) == ("the column is new", "the column is gone")


def test_a_column_without_a_distribution_is_said_to_be_compared_by_completeness_alone():
    first, second = (profiled(pa.array([f"{one}{n}" for n in range(5000)]), "string") for one in "ab")
    (drift,) = drifts([first], [second])
    assert (drift.told, drift.by_completeness) == ("", True)
    (drift,) = drifts([profiled(pa.array([1.0, 2.0]))], [profiled(pa.array([1.0, 2.0]))])
    assert not drift.by_completeness
    assert not drifts([], [first])[0].by_completeness


def test_psi_of_categories_by_hand():
    first = ColumnProfile("c", "string", 100, 0, 2, 0, frequent=(Frequent("a", 50), Frequent("b", 50)))
    second = ColumnProfile("c", "string", 100, 0, 2, 0, frequent=(Frequent("a", 80), Frequent("b", 20)))
    (drift,) = drifts([first], [second])
    assert drift.psi == pytest.approx(0.3 * np.log(0.8 / 0.5) - 0.3 * np.log(0.2 / 0.5))


def test_numbers_are_mixed_as_splitmix64_does():
    # The first three numbers of SplitMix64 from seed 0, as its reference implementation gives them.
    seeds = np.array([0, 0x9E3779B97F4A7C15, 2 * 0x9E3779B97F4A7C15 % 2**64], np.uint64).view(np.int64)
    assert [hex(number) for number in _mixed(seeds).tolist()] == [
        "0xe220a8397b1dcdaf",
        "0x6e789e6aa1b965f4",
        "0x6c45d188009454f",
    ]
    assert _mixed(np.array([0.0], np.float32)) == _mixed(np.array([-0.0]))
