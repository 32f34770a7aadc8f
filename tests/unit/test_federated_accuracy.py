"""Accuracy beside central training over ten seeds that no setting was chosen on: breast cancer and digits, even and skewed labels, with and without privacy."""

import numpy as np
import pytest

from tests.benchmarks.federated import PRIVATE, SEEDS, WAYS, accuracy, private

LIMITS = {"gradient": 0.01, "gradient, skewed": 0.03, "fedavg": 0.01, "fedprox, skewed": 0.03}
"""Points that may be lost."""


@pytest.mark.long
@pytest.mark.parametrize("way", LIMITS)
@pytest.mark.parametrize("data", ["breast cancer", "digits"])
def test_accuracy_is_that_of_central_training(data, way):
    results = np.array([accuracy(data, seed, dict(WAYS[way])) for seed in SEEDS])
    assert results[:, 1].mean() - results[:, 0].mean() <= LIMITS[way]


@pytest.mark.long
@pytest.mark.parametrize(("data", "limit"), [("breast cancer", 0.03), ("digits", 0.04)])
def test_accuracy_under_privacy_loses_little(data, limit):
    assert PRIVATE == {"breast cancer": 3.0, "digits": 8.0}
    results = np.array([accuracy(data, seed, private(data)) for seed in SEEDS])
    assert results[:, 1].mean() - results[:, 0].mean() <= limit
