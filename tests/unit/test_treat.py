"""Treatments without Spark: the contract's section, fences, the medcouple, components, similarities."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dataward.contract import Document, Treatment, problems_of
from dataward.quality.duplicates.components import labels
from dataward.quality.duplicates.matching import NEIGHBOURS, _candidate_pairs, _similarity
from dataward.quality.spread import Fences, fences, medcouple
from dataward.quality.suite import suite
from tests.cases import cases

NUMBERS = st.lists(st.integers(-1000, 1000) | st.floats(-1e6, 1e6), min_size=4, max_size=200)


# the contract


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"duplicates": {"a": {}}}, "either 'on'"),
        ({"duplicates": {"a": {"on": ["id"], "keep": "newest"}}}, "need 'by'"),
        ({"duplicates": {"a": {"on": ["id"], "by": "at"}}}, "only these take it"),
        ({"outliers": {"a": {"method": "mad", "skewed": True}}}, "method iqr"),
        ({"missing": {"a": {}}}, "exactly one"),
        ({"missing": {"a": {"with": "mean", "constant": 0}}}, "exactly one"),
        ({"missing": {"a": {"constant": 0, "per": ["b"]}}}, "'per' goes with"),
        ({"missing": {"a": {"from": "previous"}}}, "needs 'by'"),
        ({"normalise": {"a": {"date": ["yyyy"], "number": {}}}}, "give one of"),
        ({"normalise": {"a": {"date": ["yyyy"], "else": "keep"}}}, "goes with 'values'"),
        ({"normalise": {"a": {"values": {"x": ["y"], "z": ["Y"]}}}}, "a spelling of 'x' and of 'z'"),
        ({"normalise": {"a": {"number": {"decimal": ",", "group": ","}}}}, "two different signs"),
        ({"normalise": {"a": {"unit": {"column": "u", "to": "kg", "from": ["lb", "zogs"]}}}}, "zogs"),
        ({"normalise": {"a": {"unit": {"column": "u", "to": "kg", "from": ["m"]}}}}, "do not measure the same"),
        ({"normalise": {"a": {"unit": {"column": "u", "to": "kg", "from": ["lb"]}, "trim": True}}}, "nothing else"),
    ],
)
def test_what_cannot_be_done_is_refused(section, told):
    with pytest.raises(ValidationError, match=told):
        Treatment.model_validate(section)


def test_the_line_of_a_mistake_is_told(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text(
        "contract: t\nsource: {path: a}\ntarget: {path: b}\nkeys: {path: k, domain: t}\n"
        "treat:\n  missing:\n    age: {with: medium}\n"
    )
    _, problems = problems_of(Document.read(file))
    assert [(problem.line, problem.where) for problem in problems] == [(7, "treat.missing.age.with")]


def test_units_are_those_of_pint():
    unit = Treatment.model_validate({"normalise": {"a": {"unit": {"column": "u", "to": "degC", "from": ["degF"]}}}})
    factor, offset = unit.normalise["a"].unit.factor("degF")
    assert (212 * factor + offset, 32 * factor + offset) == pytest.approx((100, 0))


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ('NoOutliers "a" with method > "iqr"', "'with method' says a value"),
        ('NoOutliers "a" with method = "iqt"', "method 'iqt' is unknown"),
        ('NoOutliers "a" with factor = -1', "no positive number"),
        ('NoOutliers "a" with method = "mad" with skewed = "yes"', "goes with method iqr"),
        ('NoDuplicates "a" with similarity = 2', "between 0 and 1"),
        ('NoDuplicates "a" with similarity in [0.5, 0.6]', "'with similarity' says a value"),
    ],
)
def test_rules_that_cannot_mean_what_they_say_are_refused(rule, told):
    _, errors = suite(f"Rules = [ {rule} ]")
    assert told in f"{errors[0].what} {errors[0].remedy}"


# fences


def quantile(values, share):
    return float(np.quantile(values, share, method="inverted_cdf"))


def grid(values, points=2000):
    return np.quantile(values, np.arange(1, points + 1) / points, method="inverted_cdf")


@given(NUMBERS)
@cases(3)
def test_tukeys_fences_are_those_of_the_quartiles(values):
    first, third = quantile(values, 0.25), quantile(values, 0.75)
    if third > first:
        assert fences(grid(values), "iqr", 1.5) == pytest.approx(
            (first - 1.5 * (third - first), third + 1.5 * (third - first))
        )


@given(NUMBERS)
@cases(3)
def test_winsorising_changes_no_fence(values):
    found = fences(grid(values), "iqr", 1.5)
    if found and quantile(values, 0.75) > quantile(values, 0.25):
        assert fences(grid(np.clip(values, *found)), "iqr", 1.5) == pytest.approx(found)


def test_the_modified_z_score_is_that_of_the_median_deviation():
    values = np.random.default_rng(1).normal(10, 3, 50_001)
    median = np.median(values)
    deviation = np.median(np.abs(values - median))
    scale = 3.5 * deviation / 0.6745
    assert fences(grid(values), "mad", 3.5) == pytest.approx((median - scale, median + scale), abs=0.01)


@pytest.mark.parametrize("method", ["iqr", "mad"])
def test_ties_do_not_make_everything_an_outlier(method):
    """80 of 101 values are 0: what lies beyond is told among the others."""
    values = np.concatenate([np.zeros(80), np.linspace(-5, 5, 20), [500.0]])
    low, high = fences(grid(values), method, {"iqr": 1.5, "mad": 3.5}[method])
    assert low < -5
    assert 5 < high < 500


@pytest.mark.parametrize("method", ["iqr", "mad"])
def test_where_all_values_are_the_same_nothing_is_an_outlier(method):
    assert fences(grid([7.0] * 50), method, 3) is None
    assert Fences("a", "zscore").of(50, 7.0, 0.0, grid([7.0] * 50)) is None
    assert Fences("a").of(3, 2.0, 1.0, grid([1.0, 2.0, 3.0])) is None


def by_definition(values):
    """The medcouple, pair by pair (Brys, Hubert and Struyf 2004, without values at the median)."""
    median = np.median(values)
    kernel = [
        ((right - median) - (median - left)) / (right - left)
        for left in values[values < median]
        for right in values[values > median]
    ]
    return float(np.median(kernel))


def test_the_medcouple_is_that_of_its_definition():
    values = np.sort(np.random.default_rng(2).exponential(1, 400))
    assert medcouple(values) == pytest.approx(by_definition(values), abs=0.01)
    assert medcouple(np.arange(-50.0, 51.0)) == pytest.approx(0, abs=0.01)
    assert medcouple(-values[::-1]) == pytest.approx(-medcouple(values), abs=0.01)


def test_skewed_fences_leave_the_long_tail_alone():
    values = np.random.default_rng(3).lognormal(0, 1, 20_000)
    _, plain = fences(grid(values), "iqr", 1.5)
    _, skewed = fences(grid(values), "iqr", 1.5, skewed=True)
    assert (values > plain).mean() > 0.05
    assert (values > skewed).mean() < 0.02


# clusters


@given(
    st.integers(1, 40).flatmap(
        lambda n: st.tuples(st.just(n), st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1))))
    )
)
@cases(3)
def test_components_are_those_of_walking_the_edges(graph):
    count, edges = graph
    near = {node: {node} for node in range(count)}
    for a, b in edges:
        if near[a] is not near[b]:
            near[a] |= near[b]
            for node in near[b]:
                near[node] = near[a]
    first, second = (np.array([edge[end] for edge in edges], int) for end in (0, 1))
    assert labels(first, second, count).tolist() == [min(near[node]) for node in range(count)]


@given(st.lists(st.integers(1, 12), min_size=1, max_size=20))
@cases()
def test_every_pair_of_a_block_is_compared_once(sizes):
    table = pa.table({"block": pa.array(np.repeat(np.arange(len(sizes)), sizes))})
    pairs = [
        pair
        for first, second in _candidate_pairs(table, 1000)
        for pair in zip(first.tolist(), second.tolist(), strict=True)
    ]
    ends = np.cumsum([0, *sizes])
    wanted = {(a, b) for n in range(len(sizes)) for a in range(ends[n], ends[n + 1]) for b in range(a + 1, ends[n + 1])}
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == wanted


def test_in_a_large_block_rows_meet_their_neighbours():
    table = pa.table({"block": pa.array(np.zeros(2000, int))})
    pairs = [
        pair
        for first, second in _candidate_pairs(table, 1000)
        for pair in zip(first.tolist(), second.tolist(), strict=True)
    ]
    assert len(pairs) == 2000 * NEIGHBOURS - NEIGHBOURS * (NEIGHBOURS + 1) // 2
    assert max(b - a for a, b in pairs) == NEIGHBOURS


@pytest.mark.parametrize(
    ("kind", "left", "right", "low", "high"),
    [
        ("name", "martha", "marhta", 0.95, 0.97),  # Winkler's own example: 0.961
        ("exact", "a", "b", 0, 0),
        ("address", "12 main street", "main street 12", 1, 1),
        ("id", "12345678", "12345687", 0.87, 0.88),
        ("date", "19800102", "19800201", 0.7, 0.8),
        ("text", None, "b", np.nan, np.nan),
    ],
)
def test_similarities(kind, left, right, low, high):
    found = _similarity(pa.array([left], pa.string()), pa.array([right], pa.string()), kind)[0]
    assert low <= found <= high or np.isnan([found, low]).all()
