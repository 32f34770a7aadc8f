"""Dynamic rules and anomalies without Spark."""

import random
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataward.quality.anomalies import METHODS, expected, period_of
from dataward.quality.past import Past, Point, TooShort
from dataward.quality.suite import suite
from tests.cases import cases

START = datetime(2026, 1, 5, 4, tzinfo=timezone.utc)
DAY = timedelta(days=1)


def past(values, step=DAY, series="RowCount"):
    return Past({series: tuple(Point(START + n * step, value) for n, value in enumerate(values))})


def recalled(text, values, series="RowCount"):
    made, errors = suite(f"Rules = [ {text} ]")
    assert not errors, errors[0].what
    return made.rules[0].recalled(past(values, series=series), START + len(values) * DAY)


@pytest.mark.parametrize(("said", "number"), [
    ("avg(last(3))", 7), ("max(last(3))", 9), ("min(last(3))", 5), ("median(last(4))", 6), ("sum(last(2))", 12),
    ("std(last(2))", 1), ("last()", 5), ("last(1)", 5), ("index(last(3), 0)", 5), ("index(last(3), 2)", 9),
    ("abs(index(last(4), 3) - last())", 4), ("0.5 * avg(last(3)) + 1", 4.5), ("(last() - 1) / 2", 2),
])  # fmt: skip
def test_what_a_function_of_the_past_comes_to(said, number):
    rule = recalled(f"RowCount > {said}", [100, 1, 9, 7, 5])
    assert rule.bound().numbers == [number]
    assert rule.text == f"RowCount > {said}"
    assert not rule.awaits


def test_between_and_thresholds_and_composites_look_back_too():
    rule = recalled("RowCount between 0.5 * min(last(2)) and 2 * max(last(2))", [10, 20])
    assert rule.bound().numbers == [5, 40]
    rule = recalled('ColumnValues "a" > 3 with threshold > 0.9 * avg(last(2))', [1.0, 0.5], 'ColumnValues "a" > 3')
    assert rule.bound().numbers == [0.675]
    parts = recalled("(RowCount > last()) or (RowCount < 3)", [10]).parts
    assert [part.bound().numbers for part in parts] == [[10], [3]]


@pytest.mark.parametrize("said", ["avg(last(3))", "index(last(3), 0)", "0.5 * min(last(3))"])
def test_a_past_that_is_too_short_is_not_compared_with(said):
    rule = recalled(f"RowCount > {said}", [1, 2])
    assert rule.awaits == "not judged: 2 of the 3 earlier runs that it compares with"
    assert recalled("RowCount > 3 / last()", [0]).awaits == "a function of earlier runs divides by zero"


@pytest.mark.parametrize("said", ["sum(last(2))", "avg(last(2))", "10 * last()", "sum(last(2)) - sum(last(2))"])
def test_a_function_of_numbers_near_the_largest_is_not_compared_with(said):
    """Infinity would pass or fail every run, and NaN can be compared with nothing."""
    rule = recalled(f"RowCount > {said}", [1.7e308, 1.7e308])
    assert rule.awaits == "a function of earlier runs has no finite value"


def test_a_series_keeps_its_name_when_bounds_and_labels_change():
    texts = ["RowCount > 5", 'RowCount between 1 and 9 labels=["severity"="warning"]', 'DetectAnomalies "RowCount"']
    assert {suite(f"Rules = [ {text} ]")[0].rules[0].series for text in texts} == {"RowCount"}
    texts = ['ColumnValues "a" > 5 with threshold > 0.5', 'ColumnValues "a" > 5', 'ColumnValues "a" > 6']
    assert [suite(f"Rules = [ {text} ]")[0].rules[0].series for text in texts] == [
        'ColumnValues "a" > 5', 'ColumnValues "a" > 5', 'ColumnValues "a" > 6',
    ]  # fmt: skip
    assert suite('Rules = [ Mean "a" > 5 where "b = 1" ]')[0].rules[0].series == 'Mean "a" where "b = 1"'


# anomalies


def points(values, step=DAY):
    return past(values, step).points("RowCount")


@pytest.mark.parametrize("method", METHODS)
def test_a_series_that_never_changes_expects_no_change(method):
    band = expected(points([5.0] * 30), START + 30 * DAY, method, 0.0 if method in ("absolute", "relative") else None)
    assert band.low <= 5 <= band.high
    assert method in ("absolute", "relative") or band.low < 5 * (1 - 1e-12) < 5 * (1 + 1e-12) < band.high
    assert band.high - band.low < 1e-7


def test_simple_bands():
    assert str(expected(points([8, 10]), START, "absolute", 2)) == "8 to 12 (method absolute, 2 runs)"
    assert str(expected(points([8, -10]), START, "relative", 0.5)) == "-15 to -5 (method relative, 2 runs)"
    band = expected(points([1, 2, 3, 4, 5, 6, 7]), START, "normal", 1)
    assert (band.low, band.high) == (pytest.approx(2), pytest.approx(6))
    band = expected(points([1, 2, 3, 4, 5, 6, 1000]), START, "robust", 1)
    assert (band.low, band.high) == (pytest.approx(4 - 1.4826 * 2), pytest.approx(4 + 1.4826 * 2))


def test_the_ends_of_a_band_are_within_it():
    rule = recalled('DetectAnomalies "RowCount" with method = "absolute" with factor = 10', [100])
    assert [rule.bound().holds(value) for value in (89.9, 90, 110, 110.1)] == [False, True, True, False]
    assert str(rule.bound()) == "90 to 110"


def test_days_and_weeks_are_known_and_a_missing_day_moves_nothing():
    draw = random.Random(5)
    days = [day for day in range(60) if day not in (20, 33, 34, 51)]
    series = tuple(Point(START + day * DAY, (100 if day % 7 < 5 else 20) + draw.gauss(0, 2)) for day in days)
    assert period_of([point.time for point in series]) == 7
    saturday, monday = (expected(series, START + day * DAY) for day in (61, 63))
    assert (saturday.method, monday.method) == ("seasonal", "seasonal")
    assert saturday.low < 20 < saturday.high < 60 < monday.low < 100 < monday.high
    hours = [START + timedelta(hours=n) for n in range(9)]
    assert (period_of(hours), period_of(hours[::3]), period_of(hours[:1])) == (24, None, None)
    again = (*series, Point(series[-1].time + timedelta(hours=3), series[-1].value))  # twice in one day
    assert expected(again, START + 61 * DAY).method == "seasonal"


def test_past_anomalies_do_not_widen_the_band():
    draw = random.Random(6)
    calm = [100 + draw.gauss(0, 3) for _ in range(60)]
    wild = [value * (9 if n % 10 == 4 else 1) for n, value in enumerate(calm)]
    for method in ("robust", "trend"):
        narrow, wide = (expected(points(values), START + 60 * DAY, method) for values in (calm, wild))
        assert wide.high - wide.low < 2.5 * (narrow.high - narrow.low), method
    normal = expected(points(wild), START + 60 * DAY, "normal")
    assert normal.high - normal.low > 10 * (narrow.high - narrow.low)


def test_growth_is_no_anomaly():
    draw = random.Random(7)
    growing = [1000 + 20 * n + draw.gauss(0, 10) for n in range(50)]
    band = expected(points(growing), START + 50 * DAY)
    assert band.low < 2000 < band.high
    assert band.low > 1900


@pytest.mark.parametrize(("method", "runs", "told"), [
    ("auto", 6, "6 of the 7 earlier runs"), ("trend", 11, "11 of the 12 earlier runs"), ("absolute", 0, "0 of the 1"),
    ("seasonal", 20, "3 seasons of 7 runs"),
])  # fmt: skip
def test_short_series_are_not_judged(method, runs, told):
    with pytest.raises(TooShort, match=told):
        expected(points([1.0] * runs), START + 30 * DAY, method, 1)
    if method == "seasonal":
        with pytest.raises(TooShort, match="with period = 7"):
            expected(points([1.0] * runs, timedelta(days=3)), START, method)


@cases(2)
@given(st.lists(st.floats(-1e9, 1e9), min_size=12, max_size=60), st.sampled_from(["auto", "robust", "trend", "normal"]),
       st.sampled_from([2.0**-3, 2.0, 2.0**10]))  # fmt: skip
def test_bands_are_finite_and_stretch_with_the_series(values, method, stretch):
    band = expected(points(values), START + len(values) * DAY, method)
    assert band.low <= band.middle <= band.high
    assert abs(band.low) + abs(band.high) < 1e15
    other = expected(points([stretch * value for value in values]), START + len(values) * DAY, method)
    assert other.middle == pytest.approx(stretch * band.middle, rel=1e-6, abs=1e-3 * stretch)
    assert other.high - other.low == pytest.approx(stretch * (band.high - band.low), rel=1e-6, abs=1e-3 * stretch)
