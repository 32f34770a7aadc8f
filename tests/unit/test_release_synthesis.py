"""Synthetic data: the model keeps what was measured, costs what was asked, and its utility is compared honestly."""

import math
from itertools import combinations

import numpy as np
import pytest

from dataward.errors import ContractError
from dataward.release.marginals import Model, fitted, sampled
from dataward.release.noise import draw
from dataward.release.plan import compiled
from dataward.release.synthesis import Synthesis, load_synthesis
from dataward.release.utility import utility

SIZES = [4, 4, 3, 5]


def table(rows=6000):
    chance = np.random.default_rng(1)
    first = chance.choice(4, rows, p=[0.4, 0.3, 0.2, 0.1])
    second = (first + chance.choice(3, rows, p=[0.8, 0.1, 0.1])) % 4
    third = chance.choice(3, rows)
    return np.stack([first, second, third, (second * 2 + third % 2) % 5], axis=1)


def counted(rows):
    pairs = {}
    for a, b in combinations(range(4), 2):
        pairs[a, b] = np.zeros((SIZES[a], SIZES[b]), np.int64)
        np.add.at(pairs[a, b], (rows[:, a], rows[:, b]), 1)
    return pairs, tuple(np.bincount(rows[:, n], minlength=SIZES[n]) for n in range(4))


def test_a_model_keeps_columns_and_the_pairs_that_depend_on_each_other():
    rows = table()
    model = fitted(*counted(rows), rho=0.05, rows=1)
    assert {(0, 1), (1, 3)} <= set(model.pairs)
    made = sampled(model, model.rows, seed=3)
    assert abs(len(made) - len(rows)) < 200
    for a, b in ((0, 1), (1, 3)):
        codes = [
            np.bincount(one[:, a] * SIZES[b] + one[:, b], minlength=SIZES[a] * SIZES[b]) / len(one)
            for one in (rows, made)
        ]
        assert np.abs(codes[0] - codes[1]).sum() / 2 < 0.05
    assert np.array_equal(sampled(Model.of_json(model.as_json()), 50, seed=9), sampled(model, 50, seed=9)), (
        "a rerun makes the same rows"
    )


def test_pairs_agree_with_their_columns():
    model = fitted(*counted(table()), rho=0.01, rows=3)
    for (a, b), pair in model.pairs.items():
        assert np.allclose(pair.sum(axis=1), model.columns[a], atol=1e-3)
        assert np.allclose(pair.sum(axis=0), model.columns[b], atol=1e-3)
        assert pair.min() >= 0


def test_bins_without_rows_leave_the_other_bins_as_they_are():
    """Ages from 18 to 90 in a domain from 0 to 120: of an empty line of a pair, proportional fitting once made the whole pair NaN."""
    ages, cities = np.arange(6000) % 15 + 3, np.arange(6000) % 3
    pair = np.zeros((25, 4), np.int64)
    np.add.at(pair, (ages, cities), 1)
    exact = fitted({(0, 1): pair}, (pair.sum(axis=1), pair.sum(axis=0)), 0.05, 1, lambda _, values: np.asarray(values))
    assert np.allclose(exact.pairs[0, 1], pair / 6000, atol=1e-6)
    noisy = fitted({(0, 1): pair}, (pair.sum(axis=1), pair.sum(axis=0)), 0.05, 1)
    made = np.bincount(sampled(noisy, 6000, seed=1)[:, 1], minlength=4) / 6000
    assert np.abs(made - [1 / 3, 1 / 3, 1 / 3, 0]).max() < 0.05


def test_the_noise_of_columns_and_pairs_costs_two_thirds_of_rho():
    seen = []
    fitted(*counted(table()), rho=0.06, rows=2, sampler=lambda noise, values: seen.append(noise) or draw(noise, values))
    spent = sum(2**2 / (2 * noise.scale**2) for noise in seen)
    assert len(seen) == 7
    assert 0.04 * (1 - 1e-6) < spent <= 0.04, "the other third chooses the pairs"


def test_one_column_gets_all_of_rho():
    seen = []
    model = fitted({}, (np.array([50, 150]),), 0.5, 1, lambda noise, values: seen.append(noise) or np.asarray(values))
    assert model.rows == 200
    assert model.columns[0].tolist() == [0.25, 0.75]
    assert math.isclose(1 / (2 * seen[0].scale ** 2), 0.5, rel_tol=1e-6)


def test_negative_counts_become_a_distribution():
    model = fitted({}, (np.array([10, 0, 0, 0]),), 0.5, 1, lambda _, values: np.asarray(values) - 3)
    assert model.columns[0].sum() == pytest.approx(1)
    assert model.columns[0].min() >= 0


def test_utility_sees_what_a_table_of_independent_columns_lacks():
    rows = table()
    chance = np.random.default_rng(2)
    shuffled = np.stack([chance.permutation(rows[:, n]) for n in range(4)], axis=1)
    options = {"ranges": [0, 1], "predict": 1}
    good, bad = (utility(list("abcd"), SIZES, rows, other, options) for other in (table(6001)[1:], shuffled))
    assert max(bad.marginals.values()) < 0.01, "each column alone is right"
    assert good.pairs[1] < 0.05 < bad.pairs[1]
    assert good.correlation < 0.1 < bad.correlation
    assert good.synthetic > 0.7 > bad.synthetic
    assert good.real > 0.7 > good.majority


def synthesis(**changes):
    base = {
        "synthesize": "people", "source": {"path": "lake/people"}, "unit": "row",
        "columns": {"age": {"between": [0, 120], "bins": 12}, "state": {"values": ["nsw", "vic"]}},
        "spend": {"epsilon": 1.0, "delta": 1e-6, "from": "lake/budgets"}, "target": {"path": "lake/synthetic"},
    }  # fmt: skip
    return Synthesis.model_validate({**base, **changes})


def test_what_is_synthesized_is_planned_as_a_query_of_the_same_price():
    plan = compiled(synthesis().query, {"age": "int", "state": "string"})
    assert plan.mechanism == "gaussian"
    assert plan.cost.epsilon == 1.0
    assert [one.leaves.count for one in plan.measures] == [12, 2]


@pytest.mark.parametrize(("changes", "words"), [
    ({"spend": {"epsilon": 1.0, "from": "b"}}, "delta above 0"),
    ({"columns": {"age": {"between": [1, 0]}}}, "low below high"),
    ({"columns": {"age": {}}}, "give either 'between"),
    ({"predict": "x"}, "none of the columns"),
    ({"unit": "id"}, "'bounds' is missing"),
])  # fmt: skip
def test_what_cannot_be_synthesized_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        synthesis(**changes)


def test_mistakes_are_named_by_line(tmp_path):
    (tmp_path / "s.yaml").write_text("synthesize: people\nsorce: {path: x}\n")
    with pytest.raises(ContractError, match=r"s\.yaml:2: sorce: unknown key 'sorce'; did you mean 'source'"):
        load_synthesis(tmp_path / "s.yaml")
