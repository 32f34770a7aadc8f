"""Differential privacy of secure sums: sensitivity after rounding, noise at every site, and the composed loss of the releases.

Each site adds integer noise from a discrete Gaussian (Canonne, Kamath, Steinke, *The Discrete Gaussian for Differential Privacy*,
NeurIPS 2020) before it masks, so that the sum has enough noise even if the tolerated number of sites colludes and subtracts
its own noise. A sum of several discrete Gaussians is accounted for by the bound of Kairouz, Liu, Steinke (*The Distributed
Discrete Gaussian Mechanism for Federated Learning with Secure Aggregation*, ICML 2021, Proposition 14). Releases compose as
zCDP (Bun, Steinke 2016).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataward.errors import RunError
from dataward.federated.encode import Numbers

__all__ = ["Budgeted", "budgeted", "clip", "delta_of", "epsilon_of", "gaussian", "rho_for", "rounded", "sensitivity"]


@dataclass(frozen=True)
class Budgeted:
    """Noise of every release of a run.

    Attributes:
        rho: zCDP parameter of one release.
        honest: number of sites whose noise is certainly in a sum.
        releases: number of budgeted releases.
        multiplier: standard deviation of the total noise, in units of the sensitivity.
    """

    rho: float
    honest: int
    releases: int
    multiplier: float

    def scale(self, sensitivity: float) -> float:
        """Return the standard deviation of one site's noise, for a sensitivity in integers."""
        return sensitivity * self.multiplier / math.sqrt(self.honest)


def budgeted(epsilon: float, delta: float, releases: int, honest: int) -> Budgeted:
    """Distribute (epsilon, delta) evenly over releases.

    Args:
        epsilon: bound for the whole run.
        delta: bound for the whole run.
        releases: number of sums that sites may answer.
        honest: fewest sites in a sum whose noise is unknown to a coalition.
    """
    # 1e-6 is reserved for the difference between a sum of discrete Gaussians and one: see ``rho_of_sum``.
    rho = rho_for(epsilon, delta) * (1 - 1e-6) / releases
    return Budgeted(rho, honest, releases, math.sqrt(1 / (2 * rho)))


def rho_of_sum(sensitivity: float, scale: float, honest: int, size: int) -> float:
    """Return the zCDP parameter of a sum to which ``honest`` sites add noise of standard deviation ``scale``."""
    gap = 10 * sum(math.exp(-2 * (math.pi * scale) ** 2 * k / (k + 1)) for k in range(1, honest))
    plain = sensitivity**2 / (honest * scale**2)
    return min(plain + gap * size / 2, (math.sqrt(plain) + gap * math.sqrt(size)) ** 2) / 2


def delta_of(rho: float, epsilon: float) -> float:
    """Return the smallest delta for which rho-zCDP implies (epsilon, delta): Canonne, Kamath, Steinke, Corollary 13."""
    alphas = 1 + np.logspace(-4, 6, 4001)
    exponent = (alphas - 1) * (alphas * rho - epsilon) + alphas * np.log1p(-1 / alphas) - np.log(alphas - 1)
    return float(min(1.0, math.exp(min(0.0, exponent.min()))))


def epsilon_of(rho: float, delta: float) -> float:
    """Return an epsilon (an upper bound, to 1e-9) for which rho-zCDP implies (epsilon, delta)."""
    low, high = 0.0, rho + 2 * math.sqrt(rho * math.log(1 / delta)) + 1e-9
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (low, middle) if delta_of(rho, middle) <= delta else (middle, high)
    return high


def rho_for(epsilon: float, delta: float) -> float:
    """Return the largest rho (a lower bound, relative to 1e-9) for which rho-zCDP implies (epsilon, delta)."""
    low, high = 0.0, epsilon + 1.0
    while delta_of(high, epsilon) <= delta:
        high *= 2
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if delta_of(middle, epsilon) <= delta else (low, middle)
    return low


def sensitivity(bound: float, scale: float, size: int) -> float:
    """Return the largest L2 norm, in integers, of a rounded contribution: the bound, plus half a unit in each coordinate."""
    return bound * scale + math.sqrt(size) / 2


def clip(rows: Numbers, bound: float) -> Numbers:
    """Scale rows down to an L2 norm of at most ``bound``; rows that are not finite become 0."""
    clean = np.where(np.isfinite(rows).all(axis=1, keepdims=True), rows, 0.0)
    norms = np.sqrt(np.einsum("ij,ij->i", clean, clean))
    return np.asarray(clean * np.minimum(1.0, bound / np.maximum(norms, 1e-300))[:, None])


def rounded(rows: Numbers, bound: float, scale: float) -> NDArray[np.int64]:
    """Clip rows, round them to multiples of ``1 / scale``, and sum them; floating-point errors cannot exceed the sensitivity.

    The norm is compared as integers: a row whose rounded norm is still above :func:`sensitivity` is left out.
    """
    whole = np.rint(clip(rows, bound) * scale).astype(np.int64)
    limit = math.floor(sensitivity(bound, scale, rows.shape[1]) ** 2)
    fits = np.einsum("ij,ij->i", whole, whole) <= limit
    return np.asarray(whole[fits].sum(axis=0), dtype=np.int64)


def gaussian(scale: float, size: int) -> NDArray[np.int64]:
    """Draw discrete Gaussian noise with OpenDP's exact sampler.

    Raises:
        RunError: OpenDP is not installed.
    """
    try:
        import opendp.prelude as dp
    except ImportError:
        raise RunError("noise is drawn by OpenDP, which is not installed: pip install 'dataward[federated]'") from None
    dp.enable_features("contrib")
    drawn = dp.m.make_gaussian(dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T="f64"), scale=scale)
    return np.array(drawn([0] * size), dtype=np.int64)
