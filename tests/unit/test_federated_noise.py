"""Privacy of sums: sensitivity, accounting and noise against independent oracles."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataward.federated import noise
from dataward.federated.evaluation import advantage_bound


def gaussian_delta(sigma, epsilon):
    """The exact delta of a Gaussian of sensitivity 1 (Balle, Wang 2018)."""
    from scipy.stats import norm

    return norm.cdf(1 / (2 * sigma) - epsilon * sigma) - math.exp(epsilon) * norm.cdf(
        -1 / (2 * sigma) - epsilon * sigma
    )


@given(st.floats(0.05, 8), st.sampled_from([1e-9, 1e-6, 1e-5, 1e-3]))
def test_what_an_epsilon_buys_costs_that_epsilon_and_is_no_less_than_what_the_exact_gaussian_needs(epsilon, delta):
    rho = noise.rho_for(epsilon, delta)
    assert noise.epsilon_of(rho, delta) == pytest.approx(epsilon, rel=1e-6)
    assert noise.delta_of(rho, epsilon) <= delta
    exact = gaussian_delta(math.sqrt(1 / (2 * rho)), epsilon)
    assert delta / 100 < exact <= delta  # a bound, and not a loose one


def test_releases_compose_to_the_promise_also_where_colluding_sites_take_their_noise_off():
    paid = noise.budgeted(3.0, 1e-5, releases=20, honest=2)
    limit = noise.sensitivity(1.0, 2.0**20, 650)
    one = noise.rho_of_sum(limit, paid.scale(limit), 2, 650)
    assert 2.99 < noise.epsilon_of(20 * one, 1e-5) <= 3.0
    assert (
        noise.epsilon_of(20 * noise.rho_of_sum(limit, paid.scale(limit), 1, 650), 1e-5) > 3.5
    )  # with one honest site fewer


def test_a_sum_of_few_coarse_discrete_gaussians_costs_more_than_one_fine_gaussian():
    assert noise.rho_of_sum(1.0, 0.5, 3, 10) > 1.0 / (3 * 0.25) / 2 + 0.01
    assert noise.rho_of_sum(1e6, 1e7, 3, 10) == pytest.approx(1e12 / (3 * 1e14) / 2, rel=1e-12)


@given(
    st.lists(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), min_size=1, max_size=5),
    st.floats(0.01, 10),
    st.sampled_from([1.0, 100.0, 2.0**20]),
)
def test_no_row_moves_a_rounded_sum_by_more_than_the_sensitivity(rows, bound, scale):
    rows = np.array(rows)
    whole, without = noise.rounded(rows, bound, scale), noise.rounded(rows[1:], bound, scale)
    assert math.sqrt(sum(int(v) ** 2 for v in whole - without)) <= noise.sensitivity(bound, scale, 3)


def test_a_row_that_is_not_finite_contributes_nothing():
    rows = np.array([[np.nan, 1.0], [np.inf, 0.0], [0.6, 0.8]])
    assert noise.rounded(rows, 2.0, 10.0).tolist() == [6, 8]


def test_noise_is_a_discrete_gaussian_by_a_chi_square_test_of_its_exact_probabilities():
    scale, size = 3.0, 20_000
    drawn = noise.gaussian(scale, size)
    assert drawn.dtype == np.int64
    support = np.arange(-9, 10)
    weights = np.exp(-(support**2) / (2 * scale**2))
    expected = size * weights / np.exp(-(np.arange(-60, 61) ** 2) / (2 * scale**2)).sum()
    counted = np.array([(drawn == value).sum() for value in support])
    assert ((counted - expected) ** 2 / expected).sum() < 19 + 6 * math.sqrt(2 * 19)


def test_the_bound_on_attacks_grows_from_delta_to_1():
    assert advantage_bound(0.0, 1e-5) == pytest.approx(1e-5)
    assert advantage_bound(3.0, 0.0) == pytest.approx(math.tanh(1.5))
