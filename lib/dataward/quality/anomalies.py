"""Forecast the next number of a series from the numbers of earlier runs, as a band of accepted values.

==============  ==================================================================================================
``absolute``    last number +- ``factor``, in the unit of the series
``relative``    last number +- ``factor`` times its size (0.2: between 80 % and 120 %)
``normal``      mean +- ``factor`` standard deviations of the past (default 3)
``robust``      median +- ``factor`` MAD of the past; past anomalies do not widen the band (4)
``trend``       robust exponential smoothing of level and slope (4)
``seasonal``    robust Holt-Winters smoothing of level, slope and season (4)
``auto``        whichever of ``robust``, ``trend`` and ``seasonal`` forecast the past with the smallest error
==============  ==================================================================================================

Sources: MAD * 1.4826 estimates the standard deviation (Rousseeuw & Croux 1993); where more than half of the numbers are
equal, 1.2533 times the mean absolute deviation does (Iglewicz & Hoaglin 1993). Robust smoothing: Gelper, Fried & Croux, "Robust
Forecasting with Exponential and Holt-Winters Smoothing", J. Forecasting 29 (2010): a number far from its forecast is clipped
to two scales before it updates the state, and the scale is updated with a bounded loss.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

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
"""Default half width of the band per method, in scales; None where the rule must give it."""

LEAST = {"relative": 1, "absolute": 1, "trend": 12}
FEWEST = 7  # earlier runs that a method needs, unless LEAST says otherwise
SEASONS = 3  # complete seasons that the seasonal method needs
REMEMBERED = 200  # newest runs that a forecast uses
CALM = 2.0  # forecast errors are clipped to this many scales
CONSISTENCY = 2.52  # makes the bounded scale consistent for a normal distribution (Gelper et al., section 3.1)
LEARNING = 0.1  # smoothing rate of the scale
RATES = (0.1, 0.3, 0.5)
ROUNDING, LEAST_HALF = 1e-9, 1e-12
HOUR = 3600.0


@dataclass(frozen=True)
class Band:
    """Interval in which a number is expected.

    Attributes:
        low: lower bound, included.
        middle: the forecast.
        high: upper bound, included.
        method: the method that made the forecast (never ``auto``).
        runs: earlier runs that the forecast uses.
    """

    low: float
    middle: float
    high: float
    method: Method
    runs: int

    def __str__(self) -> str:
        """Return the interval with its method and number of runs, as messages show it."""
        return f"{self.low:,.6g} to {self.high:,.6g} (method {self.method}, {self.runs} runs)"


@dataclass(frozen=True)
class _Forecast:
    """Forecast with the scale of its past errors (sets the width) and their mean size (selects the method).

    The scale is robust, so that past anomalies do not widen the band. ``miss`` covers nine in ten errors, because
    a method that is wrong on two days of seven must lose the selection.
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
    """Compute the band of a number that is measured ``now``.

    Args:
        points: numbers of earlier runs, oldest first.
        now: time of the present run.
        method: forecasting method.
        factor: half width of the band in the method's unit; None: the method's default.
        period: length of a season in runs; None: derived from the distance between runs.

    Raises:
        TooShort: the series is too short for the method; the message says how many runs it needs.
    """
    import numpy as np

    points = points[-REMEMBERED:]
    width = FACTORS[method] if factor is None else factor
    assert width is not None  # noqa: S101 - the rule checks it
    needed = LEAST.get(method, FEWEST)
    if len(points) < needed:
        raise TooShort(f"not judged: {len(points)} of the {needed} earlier runs that method {method} needs")
    values = [point.value for point in points]
    if method in ("absolute", "relative"):
        half = width if method == "absolute" else width * abs(values[-1])
        return Band(values[-1] - half, values[-1], values[-1] + half, method, len(values))
    if method == "normal":
        forecast = _Forecast(float(np.mean(values)), float(np.std(values)), math.nan)
        return _band(forecast, width, method, len(values))
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
            lacking = (
                f"{SEASONS} seasons of {season} runs" if season else "runs an hour or a day apart, or 'with period = 7'"
            )
            raise TooShort(f"not judged: method seasonal needs {lacking}")
    best = min(candidates, key=lambda name: candidates[name].miss * PREFERENCE[name])
    return _band(candidates[best], width, best, len(values))


PREFERENCE: dict[str, float] = {"robust": 1.0, "trend": 1.25, "seasonal": 1.25}
"""Handicap by which a method's error is multiplied: more parameters must forecast better by this ratio."""


def _band(forecast: _Forecast, factor: float, method: Method, runs: int) -> Band:
    # The order of addition changes a sum of doubles: a number equal to all earlier ones must stay within the band.
    half = max(factor * forecast.scale, ROUNDING * abs(forecast.middle), LEAST_HALF)
    return Band(forecast.middle - half, forecast.middle, forecast.middle + half, method, runs)


def period_of(times: Sequence[datetime]) -> int | None:
    """Return the runs in a season: 24 for hourly runs, 7 for daily runs, None for any other distance between runs."""
    if len(times) < 2:
        return None
    gap = _gap(times)
    return 24 if 0.8 <= gap / HOUR <= 1.2 else 7 if 0.8 <= gap / (24 * HOUR) <= 1.2 else None


def _gap(times: Sequence[datetime]) -> float:
    import numpy as np

    seconds = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(times)]
    return float(np.median(seconds)) if seconds else 0.0


def _on_grid(points: Sequence[Point], now: datetime) -> tuple[list[float], int]:
    """Align numbers to an hourly or daily grid, and return them with the grid index of ``now``.

    An hour or day without a run holds NaN, so that it does not shift the season; several runs in one keep the newest.
    Runs that are neither hourly nor daily are returned as they are.
    """
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
    """Estimate the standard deviation: 1.4826 * median |d|; where that is 0, 1.2533 * mean |d|."""
    import numpy as np

    sizes = np.abs(np.asarray(deviations, dtype=float))
    return float(1.4826 * np.median(sizes)) or float(1.2533 * np.mean(sizes))


def _miss(errors: Sequence[float]) -> float:
    """Return the mean absolute error over the smallest 90 % of the errors."""
    import numpy as np

    sizes = np.sort(np.abs(np.asarray(errors, dtype=float)))
    return float(np.mean(sizes[: max(math.ceil(0.9 * len(sizes)), 1)]))


def _robust(values: list[float]) -> _Forecast:
    import numpy as np

    middle = float(np.median(values))
    errors = [value - middle for value in values]
    return _Forecast(middle, _scale(errors), _miss(errors))


def _smoothed(numbers: list[float], slot: int, season: int) -> _Forecast:
    """Forecast grid index ``slot`` with the smoothing rates that forecast the past best."""
    grid = itertools.product(RATES, (0.0, 0.1), (0.1, 0.3) if season > 1 else (0.0,))
    return min((_holt_winters(numbers, slot, season, *rates) for rates in grid), key=lambda forecast: forecast.miss)


def _holt_winters(numbers: list[float], slot: int, season: int, alpha: float, beta: float, gamma: float) -> _Forecast:
    """Run robust additive Holt-Winters smoothing and forecast grid index ``slot``; ``season`` 1 means none."""
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
        clipped = forecast + max(-CALM * scale, min(CALM * scale, error))
        before = level
        level = alpha * (clipped - seasons[place % season]) + (1 - alpha) * (level + slope)
        slope = beta * (level - before) + (1 - beta) * slope
        seasons[place % season] = gamma * (clipped - level) + (1 - gamma) * seasons[place % season]
    ahead = max(slot - len(numbers) + 1, 1)
    errors = errors or [scale]
    return _Forecast(level + ahead * slope + seasons[slot % season], _scale(errors), _miss(errors))


def _bounded(ratio: float) -> float:
    """Return the biweight loss of a ratio, scaled so that its mean is 1 for a standard normal ratio."""
    return CONSISTENCY * (1 - (1 - (ratio / CALM) ** 2) ** 3) if abs(ratio) <= CALM else CONSISTENCY


def _start(numbers: list[float], season: int) -> tuple[float, float, list[float], float]:
    """Return level, slope, seasons and scale at the end of the first numbers, by repeated median regression."""
    import numpy as np

    known = [(place, number) for place, number in enumerate(numbers) if not math.isnan(number)]
    slopes = [
        float(np.median([(y - y2) / (x - x2) for x2, y2 in known if x2 != x and (x2 - x) % season == 0] or [0.0]))
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
