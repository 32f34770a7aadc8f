"""Where the next number of a series is expected, from those before it.

==============  ==================================================================================================
``absolute``    not more than ``factor`` from the last one, in the unit of the series
``relative``    not more than ``factor`` times the last one away from it (0.2: between 80 % and 120 %)
``normal``      mean and standard deviation of the past; ``factor`` of them (3)
``robust``      median and MAD of the past, so that past anomalies do not widen the band (4)
``trend``       exponential smoothing of level and slope, robust (4)
``seasonal``    the same with a season, by Holt and Winters, robust (4)
``auto``        of the last three the one whose forecasts of the past were the closest
==============  ==================================================================================================

Sources: MAD * 1.4826 estimates the standard deviation (Rousseeuw & Croux 1993); where more than half of the numbers are
equal, 1.2533 times the mean absolute deviation (Iglewicz & Hoaglin 1993). Robust smoothing: Gelper, Fried & Croux, "Robust
Forecasting with Exponential and Holt-Winters Smoothing", J. Forecasting 29 (2010): a number far from its forecast is pulled
to within two scales of it before it is learned from, and the scale itself is one that cannot explode.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

import numpy as np

from dataward.quality.past import Point, TooShort

__all__ = ["FACTORS", "METHODS", "Band", "Method", "expected", "period_of"]

Method = Literal["auto", "robust", "trend", "seasonal", "normal", "relative", "absolute"]
METHODS: tuple[Method, ...] = get_args(Method)
FACTORS: dict[str, float | None] = {
    "auto": 4.0,
    "robust": 4.0,
    "trend": 4.0,
    "seasonal": 4.0,
    "normal": 3.0,
    "relative": None,
    "absolute": None,
}
"""Half the width of the band; None where only the user can say it."""

LEAST = {"relative": 1, "absolute": 1, "trend": 12}
FEWEST = 7  # runs without which nothing is said
SEASONS = 3  # that must have been seen before one is expected
REMEMBERED = 200  # runs; older ones tell nothing about tomorrow
CALM = 2.0  # scales beyond which a number is pulled in
CONSISTENCY = 2.52  # makes the bounded scale that of a normal distribution (Gelper et al., section 3.1)
LEARNING = 0.1  # how fast the scale follows
RATES = (0.1, 0.3, 0.5)
ROUNDING, LEAST_HALF = 1e-9, 1e-12
HOUR = 3600.0


@dataclass(frozen=True)
class Band:
    """Where a number is expected: from ``low`` to ``high``, both included, and how that was found."""

    low: float
    middle: float
    high: float
    method: Method
    runs: int

    def __str__(self) -> str:
        return f"{self.low:,.6g} to {self.high:,.6g} (method {self.method}, {self.runs} runs)"


@dataclass(frozen=True)
class _Forecast:
    """What is expected, how far the past spread around what was expected of it, and how far off it was on the whole.

    The spread is that of the quieter half, so that nothing odd widens a band; what chooses a method must not be blind
    to two days of seven.
    """

    middle: float
    scale: float
    miss: float


def expected(
    points: Sequence[Point],
    now: datetime,
    method: Method = "auto",
    factor: float | None = None,
    period: int | None = None,
) -> Band:
    """The band of a number that is measured ``now``; ``period`` is the length of a season, in runs.

    Raises:
        TooShort: the series is too short for the method; the message says how many runs it needs.
    """
    points = points[-REMEMBERED:]
    wide = FACTORS[method] if factor is None else factor
    assert wide is not None  # noqa: S101 - asked for when the rule is made
    needed = LEAST.get(method, FEWEST)
    if len(points) < needed:
        raise TooShort(f"not judged: {len(points)} of the {needed} earlier runs that method {method} needs")
    values = [point.value for point in points]
    if method in ("absolute", "relative"):
        half = wide if method == "absolute" else wide * abs(values[-1])
        return Band(values[-1] - half, values[-1], values[-1] + half, method, len(values))
    if method == "normal":
        found = _Forecast(float(np.mean(values)), float(np.std(values)), math.nan)
        return _band(found, wide, method, len(values))
    numbers, slot = _on_grid(points, now)
    season = period or period_of([point.time for point in points])
    candidates: dict[Method, _Forecast] = {}
    if method in ("auto", "robust"):
        candidates["robust"] = _robust(values)
    if method in ("auto", "trend") and len(values) >= LEAST["trend"]:
        candidates["trend"] = _smoothed(numbers, slot, 1)
    if method in ("auto", "seasonal"):
        if season and len(numbers) >= SEASONS * season:
            candidates["seasonal"] = _smoothed(numbers, slot, season)
        elif method == "seasonal":
            told = (
                f"{SEASONS} seasons of {season} runs" if season else "runs an hour or a day apart, or 'with period = 7'"
            )
            raise TooShort(f"not judged: method seasonal needs {told}")
    best = min(candidates, key=lambda name: candidates[name].miss * PREFERENCE[name])
    return _band(candidates[best], wide, best, len(values))


PREFERENCE: dict[str, float] = {"robust": 1.0, "trend": 1.25, "seasonal": 1.25}
"""What has more to fit must forecast better by so much."""


def _band(found: _Forecast, factor: float, method: Method, runs: int) -> Band:
    # A sum of doubles depends on the order of addition: what equals all before it must not fall out by that.
    half = max(factor * found.scale, ROUNDING * abs(found.middle), LEAST_HALF)
    return Band(found.middle - half, found.middle, found.middle + half, method, runs)


def period_of(times: Sequence[datetime]) -> int | None:
    """Runs in a season, told from how far they lie apart: hours make days, days make weeks; None where neither."""
    if len(times) < 2:
        return None
    gap = _gap(times)
    return 24 if 0.8 <= gap / HOUR <= 1.2 else 7 if 0.8 <= gap / (24 * HOUR) <= 1.2 else None


def _gap(times: Sequence[datetime]) -> float:
    seconds = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(times)]
    return float(np.median(seconds)) if seconds else 0.0


def _on_grid(points: Sequence[Point], now: datetime) -> tuple[list[float], int]:
    """The numbers on a grid of hours or days, NaN where no run was, so that a missing day does not move the week; of
    several runs in one day the newest. And the place of ``now``. Runs that lie otherwise are taken as they come."""
    times = [point.time for point in points]
    gap = _gap(times)

    def place(time: datetime) -> int:
        return round((time - times[0]).total_seconds() / gap)

    if not period_of(times) or place(times[-1]) > 4 * len(times):
        return [point.value for point in points], len(points)
    numbers = [math.nan] * (place(times[-1]) + 1)
    for point in points:
        numbers[place(point.time)] = point.value
    return numbers, place(now)


def _scale(deviations: Sequence[float]) -> float:
    """1.4826 * median |d|; where that is 0, 1.2533 * mean |d|."""
    sizes = np.abs(np.asarray(deviations, dtype=float))
    return float(1.4826 * np.median(sizes)) or float(1.2533 * np.mean(sizes))


def _miss(errors: Sequence[float]) -> float:
    """The mean size of nine in ten errors, the smallest."""
    sizes = np.sort(np.abs(np.asarray(errors, dtype=float)))
    return float(np.mean(sizes[: max(math.ceil(0.9 * len(sizes)), 1)]))


def _robust(values: list[float]) -> _Forecast:
    middle = float(np.median(values))
    errors = [value - middle for value in values]
    return _Forecast(middle, _scale(errors), _miss(errors))


def _smoothed(numbers: list[float], slot: int, season: int) -> _Forecast:
    """The forecast of a place under the rates whose forecasts of the past were the closest."""
    grid = itertools.product(RATES, (0.0, 0.1), (0.1, 0.3) if season > 1 else (0.0,))
    return min((_holt_winters(numbers, slot, season, *rates) for rates in grid), key=lambda found: found.miss)


def _holt_winters(numbers: list[float], slot: int, season: int, alpha: float, beta: float, gamma: float) -> _Forecast:
    begin = min(len(numbers), max(2 * season, 8))
    level, slope, seasons, scale = _start(numbers[:begin], season)
    errors: list[float] = []
    for place, number in enumerate(numbers[begin:], begin):
        forecast = level + slope + seasons[place % season]
        error = 0.0
        if not math.isnan(number):
            error = number - forecast
            errors.append(error)
            scale = scale * math.sqrt(LEARNING * _bounded(error / scale) + 1 - LEARNING) if scale else abs(error)
        calm = forecast + max(-CALM * scale, min(CALM * scale, error))
        before = level
        level = alpha * (calm - seasons[place % season]) + (1 - alpha) * (level + slope)
        slope = beta * (level - before) + (1 - beta) * slope
        seasons[place % season] = gamma * (calm - level) + (1 - gamma) * seasons[place % season]
    ahead = max(slot - len(numbers) + 1, 1)
    errors = errors or [scale]
    return _Forecast(level + ahead * slope + seasons[slot % season], _scale(errors), _miss(errors))


def _bounded(ratio: float) -> float:
    """The bounded (biweight) loss of a ratio, with the constant that makes its mean 1 for a normal one."""
    return CONSISTENCY * (1 - (1 - (ratio / CALM) ** 2) ** 3) if abs(ratio) <= CALM else CONSISTENCY


def _start(numbers: list[float], season: int) -> tuple[float, float, list[float], float]:
    """Level and slope at the end of the first numbers, their season and scale, by medians (repeated median regression)."""
    known = [(place, number) for place, number in enumerate(numbers) if not math.isnan(number)]
    slopes = [
        float(np.median([(y - other) / (x - at) for at, other in known if at != x and (at - x) % season == 0] or [0.0]))
        for x, y in known
    ]
    slope = float(np.median(slopes))
    flat = {place: number - slope * place for place, number in known}
    level = float(np.median(list(flat.values())))
    seasons = [
        float(np.median([number - level for place, number in flat.items() if place % season == phase] or [0.0]))
        for phase in range(season)
    ]
    if season == 1:
        seasons = [0.0]
    rest = [number - level - seasons[place % season] for place, number in flat.items()]
    return level + slope * (len(numbers) - 1), slope, seasons, _scale(rest)
