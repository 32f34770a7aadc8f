"""Draw integer noise with OpenDP's samplers, which are exact: no floating-point rounding is involved."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from dataward.release.accounting import Noise, missing_extra

__all__ = ["Sampler", "draw", "loss", "noisy_max"]

Sampler = Callable[[Noise, Any], Any]
"""Adds noise to a numpy array of int64 and returns another."""

MOST = 2**62
"""Largest magnitude of exact values, so that noise fits into 64 bits."""


def draw(noise: Noise, values: Any) -> Any:
    """Return the values with noise added; OpenDP saturates at 64 bits.

    Args:
        noise: the distribution.
        values: exact values, int64.
    """
    import numpy as np

    exact = np.asarray(values, np.int64)
    if exact.size == 0:
        return exact
    if int(np.abs(exact).max()) > MOST:
        raise OverflowError("an exact aggregate leaves no room for noise in 64 bits")
    drawn = _measurement(noise)(exact.reshape(-1).tolist())
    return np.asarray(drawn, np.int64).reshape(exact.shape)


def loss(noise: Noise, sensitivity: float) -> float:
    """Return OpenDP's own privacy map: epsilon of Laplace for an L1 distance, rho of Gaussian for an L2 distance."""
    return float(_measurement(noise).map(int(sensitivity) if noise.mechanism == "laplace" else float(sensitivity)))


@cache
def _measurement(noise: Noise) -> Any:
    try:
        import opendp.prelude as dp
    except ImportError:
        raise missing_extra() from None
    dp.enable_features("contrib")
    domain = dp.vector_domain(dp.atom_domain(T="i64"))
    if noise.mechanism == "laplace":
        return dp.m.make_laplace(domain, dp.l1_distance(T="i64"), scale=noise.scale)
    return dp.m.make_gaussian(domain, dp.l2_distance(T="f64"), scale=noise.scale)


def noisy_max(scores: list[int], scale: float) -> int:
    """Return the index of the largest score under Gumbel noise: the exponential mechanism, (d/scale)^2/2-zCDP at sensitivity d."""
    try:
        import opendp.prelude as dp
    except ImportError:
        raise missing_extra() from None
    dp.enable_features("contrib")
    domain = dp.vector_domain(dp.atom_domain(T="i64"))
    chosen = dp.m.make_noisy_max(domain, dp.linf_distance(T="i64"), dp.zero_concentrated_divergence(), scale=scale)
    return int(chosen(scores))
