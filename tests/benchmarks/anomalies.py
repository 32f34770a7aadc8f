"""Anomalies found in generated series, beside Deequ's strategies on the same series: precision, recall and F1 of each.

48 series of 90 daily runs: six backgrounds (calm, growing, weekly, weekly and growing, skewed, wandering), each with eight
injections. A run is to be found where what was injected moves it by three standard deviations or more; of a lasting shift the
first three runs. From the 28th run on each strategy says of every run, knowing those before it, whether it is one. Deequ's
get the parameters that do best on all these series; ours keeps its defaults.
"""

import itertools
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import numpy as np
from py4j.protocol import Py4JJavaError

from dataward.quality.anomalies import METHODS, expected
from dataward.quality.past import Point
from dataward.spark import session

DAYS, FIRST = 90, 28
START = datetime(2026, 1, 5, tzinfo=timezone.utc)
Series = tuple[np.ndarray, np.ndarray]  # numbers, and whether each is to be found


def backgrounds(draw: np.random.Generator) -> dict[str, tuple[np.ndarray, float]]:
    """Numbers and the standard deviation of their noise."""
    day, noise = np.arange(DAYS), draw.normal(0, 20, DAYS)
    weekly = np.where(day % 7 < 5, 1000.0, 600.0)
    skewed = draw.lognormal(0, 0.25, DAYS)
    return {
        "calm": (1000 + noise, 20),
        "growing": (1000 + 8.0 * day + noise, 20),
        "weekly": (weekly + noise, 20),
        "weekly and growing": (weekly + 5.0 * day + noise, 20),
        "skewed": (1000 * skewed, 1000 * float(np.std(skewed))),
        "wandering": (1000 + np.cumsum(draw.normal(0, 4, DAYS)) + noise, 20),
    }


def injections(draw: np.random.Generator, deviation: float) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What is added, and whether each run is to be found."""
    none = np.zeros(DAYS)
    at = [int(place) for place in draw.choice(np.arange(FIRST + 2, DAYS - 14, 4), 3, replace=False)]
    sign = float(draw.choice([-1, 1]))
    spikes, two, shift, drift, lasting = (none.copy() for _ in range(5))
    spikes[at] = sign * draw.uniform(6, 10, 3) * deviation
    two[at[0]], two[at[1]] = 7 * deviation, -7 * deviation
    shift[at[0] : at[0] + 5] = sign * 7 * deviation
    drift[at[0] : at[0] + 10] = sign * np.linspace(1, 9, 10) * deviation
    lasting[at[0] :] = sign * 8 * deviation
    begun = none.copy()
    begun[at[0] : at[0] + 3] = 1
    drop = none.copy()
    drop[at[0] : at[0] + 2] = -12 * deviation
    large = none.copy()
    large[[at[0], at[0] + 7]] = 60 * deviation  # so large that it spoils what is learned from it
    moved = {"spikes": spikes, "up and down": two, "five runs": shift, "drift": drift, "truncated": drop, "huge": large}
    told = {name: (added, np.abs(added) >= 3 * deviation) for name, added in moved.items()}
    return {**told, "lasting shift": (lasting, begun > 0), "nothing": (none, none > 0)}


def generated() -> list[Series]:
    draw, made = np.random.default_rng(2026), []
    for name in backgrounds(draw):
        for kind in injections(draw, 1):
            numbers, deviation = backgrounds(draw)[name]
            added, odd = injections(draw, deviation)[kind]
            made.append((numbers + added, odd))
    return made


Judge = Callable[[np.ndarray, int], bool]


def ours(method: str) -> Judge:
    factor = {"relative": 0.2, "absolute": 120.0}.get(method)

    def judge(numbers: np.ndarray, place: int) -> bool:
        points = [Point(START + timedelta(days=day), float(numbers[day])) for day in range(place)]
        band = expected(points, START + timedelta(days=place), method, factor)
        return not band.low <= numbers[place] <= band.high

    return judge


def deequs(spark) -> dict[str, list[Judge]]:
    """Every strategy of Deequ, with each of the parameters that are tried."""
    from pydeequ.anomaly_detection import (
        AbsoluteChangeStrategy,
        BatchNormalStrategy,
        HoltWinters,
        MetricInterval,
        OnlineNormalStrategy,
        RelativeRateOfChangeStrategy,
        SeriesSeasonality,
    )

    jvm = spark._jvm
    spark.sparkContext.setLogLevel("OFF")  # the optimiser behind HoltWinters writes its stack traces

    def judging(strategy) -> Judge:
        detector = strategy._set_jvm(jvm)._anomaly_jvm

        def judge(numbers: np.ndarray, place: int) -> bool:
            series = jvm.PythonUtils.toSeq([float(number) for number in numbers[: place + 1]]).toVector()
            try:
                return detector.detect(series, jvm.scala.Tuple2(place, place + 1)).size() > 0
            except Py4JJavaError:  # HoltWinters' optimiser gives up on some series
                return False

        return judge

    widths = (2.0, 2.5, 3.0, 3.5, 4.0)
    changes = (40.0, 60.0, 80.0, 120.0, 160.0, 240.0)
    rates = (0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
    return {
        "OnlineNormal": [judging(OnlineNormalStrategy(width, width)) for width in widths],
        "BatchNormal": [judging(BatchNormalStrategy(width, width)) for width in widths],
        "AbsoluteChange": [judging(AbsoluteChangeStrategy(-change, change)) for change in changes],
        "RelativeRateOfChange": [judging(RelativeRateOfChangeStrategy(1 - rate, 1 + rate)) for rate in rates],
        "HoltWinters": [judging(HoltWinters(MetricInterval.Daily, SeriesSeasonality.Weekly))],
    }


def score(judge: Judge, series: list[Series]) -> tuple[float, float, float]:
    """Precision, recall and F1 over all runs of all series."""
    found = hits = wanted = 0
    for numbers, odd in series:
        for place in range(FIRST, DAYS):
            said = judge(numbers, place)
            found, hits, wanted = found + said, hits + (said and odd[place]), wanted + odd[place]
    precision, recall = hits / max(found, 1), hits / wanted
    return precision, recall, 2 * precision * recall / max(precision + recall, 1e-9)


def main() -> dict[str, tuple[float, float, float]]:
    series, spark = generated(), session.get(**{"spark.master": "local[2]"})
    told = {f"dataward {method}": score(ours(method), series) for method in METHODS}
    for name, judges in deequs(spark).items():
        told[f"deequ {name}"] = max((score(judge, series) for judge in judges), key=lambda scores: scores[2])
    runs = sum(int(odd[FIRST:].sum()) for _, odd in series)
    print(f"{len(series)} series of {DAYS - FIRST} judged runs, {runs} of them to be found")
    print(f"{'':<28} precision  recall   F1")
    for name, (precision, recall, f1) in sorted(told.items(), key=lambda one: -one[1][2]):
        print(f"{name:<28}     {precision:.3f}   {recall:.3f}   {f1:.3f}")
    return told


if __name__ == "__main__":
    best = main()
    rivals = [scores[2] for name, scores in best.items() if name.startswith("deequ")]
    sys.exit(0 if best["dataward auto"][2] > max(itertools.chain(rivals)) else 1)
