"""Privacy losses: noise distributions on the integers, thresholds, conversion and composition.

Sources: discrete Laplace (Ghosh, Roughgarden, Sundararajan 2009); discrete Gaussian (Canonne, Kamath, Steinke 2020); zCDP
(Bun, Steinke 2016). dp-accounting converts zCDP to (epsilon, delta).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any, Literal

from dataward.errors import RunError

__all__ = ["Mechanism", "Noise", "composed", "exactly", "missing_extra", "most_rho", "threshold"]

Mechanism = Literal["laplace", "gaussian"]

TERMS = 40_000
"""Most terms of a sum over a discrete Gaussian; larger tails are bounded by the continuous Gaussian."""

FAR = 40
"""Standard deviations beyond which the mass of a discrete Gaussian is 0 as a float."""


@dataclass(frozen=True)
class Noise:
    """Integer noise of a mechanism; ``scale`` is the Laplace scale, or the Gaussian's sigma."""

    mechanism: Mechanism
    scale: float

    def tail(self, k: int) -> float:
        """Return an upper bound of P(X >= k) for k >= 1, exact except for rounding if the sum has few terms."""
        if k < 1:
            raise ValueError("the tail begins at 1")
        if self.mechanism == "laplace":
            return math.exp(-k / self.scale) / (1 + math.exp(-1 / self.scale))
        if FAR * self.scale > TERMS:  # Canonne, Kamath, Steinke 2020, proposition 25
            return 0.5 * math.erfc((k - 1) / (self.scale * math.sqrt(2)))
        return math.fsum(_weights(self.scale)[k:]) / _mass(self.scale)

    def pmf(self, k: int) -> float:
        """Return P(X = k)."""
        if self.mechanism == "laplace":
            alpha = math.exp(-1 / self.scale)
            return (1 - alpha) / (1 + alpha) * alpha ** abs(k)
        return math.exp(-(k**2) / (2 * self.scale**2)) / _mass(self.scale)

    def half_width(self, alpha: float) -> int:
        """Return the smallest h with P(|X| > h) <= alpha."""
        return _first(lambda h: 2 * self.tail(h + 1) <= alpha, self.scale)

    @property
    def deviation(self) -> float:
        """Standard deviation; for the Gaussian an upper bound."""
        if self.mechanism == "gaussian":
            return self.scale
        alpha = math.exp(-1 / self.scale)
        return math.sqrt(2 * alpha) / (1 - alpha)


@cache
def _weights(sigma: float) -> tuple[float, ...]:
    return tuple(math.exp(-(k**2) / (2 * sigma**2)) for k in range(int(FAR * sigma) + 3))


@cache
def _mass(sigma: float) -> float:
    if FAR * sigma > TERMS:  # Poisson summation: the correction is below 1e-300
        return sigma * math.sqrt(2 * math.pi)
    weights = _weights(sigma)
    return 2 * math.fsum(weights[1:]) + 1


def _first(holds: Any, scale: float) -> int:
    """Return the smallest non-negative integer for which a monotone condition holds."""
    if holds(0):
        return 0
    low, high = 0, max(1, int(scale))
    while not holds(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def threshold(noise: Noise, groups: int, delta: float) -> int:
    """Return the smallest threshold that hides new groups of one unit with probability 1 - ``delta``.

    A group of a single unit counts one unit. It is released where 1 + X >= threshold; any of ``groups`` such groups is
    released with probability 1 - (1 - P(X >= threshold - 1)) ** groups <= delta.
    """

    def hidden(k: int) -> bool:
        shown = noise.tail(k + 1)
        return -math.expm1(groups * math.log1p(-shown)) <= delta * (1 - 1e-9)

    return _first(hidden, noise.scale) + 2


@cache
def most_rho(epsilon: float, delta: float) -> float:
    """Return the largest rho for which rho-zCDP implies (epsilon, delta)-DP, within one part in 10^6 below it."""
    low, high = 0.0, epsilon + epsilon**2  # rho-zCDP gives at least epsilon = rho at any useful delta
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _epsilon_of_rho(middle, delta) <= epsilon else (low, middle)
        if high - low <= 1e-6 * high:
            break
    return low


@cache
def _epsilon_of_rho(rho: float, delta: float) -> float:
    if rho <= 0:
        return 0.0
    accountant = _accounting("rdp.rdp_privacy_accountant").RdpAccountant(orders=_orders(rho, delta))
    accountant.compose(_accounting("dp_event").ZCDpEvent(rho=rho))
    return float(accountant.get_epsilon(delta))


def _orders(rho: float, delta: float) -> list[float]:
    """Return Renyi orders around the best one, 1 + sqrt(log(1/delta)/rho); any list of orders is valid."""
    best = math.sqrt(math.log(1 / delta) / rho)
    return [1 + best * 1.02**step for step in range(-120, 60)]


def _accounting(module: str) -> Any:
    from importlib import import_module

    try:
        return import_module(f"dp_accounting.{module}")
    except ImportError:
        raise missing_extra() from None


def missing_extra() -> RunError:
    """Return the error that names the missing packages."""
    return RunError("releases need OpenDP and dp-accounting: pip install 'dataward[dp]'")


def exactly(number: float) -> Decimal:
    """Return a float as the decimal of its shortest text, so that ten times 0.1 is 1."""
    return Decimal(repr(float(number)))


def composed(rhos: Decimal, delta: float) -> float:
    """Return the epsilon of a sum of rhos at ``delta``; infinite without a delta."""
    if rhos <= 0:
        return 0.0
    return _epsilon_of_rho(float(rhos), delta) if delta > 0 else math.inf
