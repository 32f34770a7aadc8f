"""Measure the similarity of a synthetic table to the real one: marginals, pairs, correlations, and a model trained on it. Pure.

These numbers are computed from the real table without noise: only readers of that table may see them; they are not a release.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

__all__ = ["Utility", "utility"]

STEPS, RATE = 300, 0.5


@dataclass(frozen=True)
class Utility:
    """Distances between a real and a synthetic table of bins.

    Attributes:
        marginals: by column, total variation distance (0 equal, 1 disjoint).
        pairs: mean and largest distance of pairs of columns.
        correlation: largest difference of Pearson correlations of bins, over columns that are ranges.
        predicted: the column to predict from the others.
        real: accuracy on real rows of a model trained on other real rows.
        synthetic: accuracy of a model trained on the synthetic table.
        majority: share of the most frequent bin, the accuracy without a model.
    """

    marginals: Mapping[str, float]
    pairs: tuple[float, float]
    correlation: float | None
    predicted: str
    real: float
    synthetic: float
    majority: float


def utility(names: list[str], sizes: list[int], real: Any, synthetic: Any, options: Mapping[str, Any]) -> Utility:
    """Compare two tables of bins (rows x columns).

    Args:
        names: the columns.
        sizes: number of bins of each.
        real: bounded rows of the real table, at least 4.
        synthetic: rows of the synthetic one.
        options: ``ranges``, indexes of columns whose bins are ordered; ``predict``, index of the predicted column.
    """
    import numpy as np

    marginals = {name: _distance(real[:, [n]], synthetic[:, [n]], [sizes[n]]) for n, name in enumerate(names)}
    pairs = [
        _distance(real[:, [a, b]], synthetic[:, [a, b]], [sizes[a], sizes[b]])
        for a, b in combinations(range(len(names)), 2)
    ]
    ranges, target = list(options["ranges"]), options["predict"]
    correlation = None
    if len(ranges) > 1:
        with np.errstate(invalid="ignore"):
            both = [np.nan_to_num(np.corrcoef(table[:, ranges].T)) for table in (real, synthetic)]
        correlation = float(np.abs(both[0] - both[1]).max())
    half = len(real) // 2
    test = real[half:]
    scores = [_accuracy(train, test, sizes, target) for train in (real[:half], synthetic)]
    majority = float(np.bincount(test[:, target]).max() / max(1, len(test)))
    correlations = (float(np.mean(pairs)), max(pairs)) if pairs else (0.0, 0.0)
    return Utility(marginals, correlations, correlation, names[target], scores[0], scores[1], majority)


def _distance(real: Any, synthetic: Any, sizes: list[int]) -> float:
    import numpy as np

    shares = []
    for table in (real, synthetic):
        codes = np.ravel_multi_index(tuple(table.T), sizes)
        shares.append(np.bincount(codes, minlength=int(np.prod(sizes))) / max(1, len(codes)))
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def _accuracy(train: Any, test: Any, sizes: list[int], target: int) -> float:
    """Return the accuracy of multinomial logistic regression on one-hot bins, by plain gradient descent."""
    import numpy as np

    if not len(train) or not len(test):
        return 0.0
    inputs, truth = _one_hot(train, sizes, target), train[:, target]
    weights = np.zeros((inputs.shape[1], sizes[target]))
    wanted = np.eye(sizes[target])[truth]
    for _ in range(STEPS):
        scores = inputs @ weights
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        scores /= scores.sum(axis=1, keepdims=True)
        weights -= RATE * (inputs.T @ (scores - wanted) / len(inputs) + 1e-4 * weights)
    found = (_one_hot(test, sizes, target) @ weights).argmax(axis=1)
    return float((found == test[:, target]).mean())


def _one_hot(table: Any, sizes: list[int], target: int) -> Any:
    import numpy as np

    parts = [np.eye(size)[table[:, n]] for n, size in enumerate(sizes) if n != target]
    return np.hstack([*parts, np.ones((len(table), 1))])
