"""Synthetic data from noisy marginals: a tree of pairs of columns, like MST (McKenna, Miklau, Sheldon 2021).

A third of rho measures each column, a third chooses the pairs (exponential mechanism on a pair's distance from independence, by
OpenDP's report-noisy-max), a third measures the pairs. The model is the distribution over the tree that agrees with the marginals
(Chow, Liu 1968): one-way counts are averaged by their variances, pairs are fitted to them by iterative proportional fitting.
Everything after the noise is post-processing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from dataward.release.accounting import Noise
from dataward.release.noise import Sampler, draw, noisy_max

__all__ = ["Model", "fitted", "sampled"]

ROUNDS = 50
"""Rounds of proportional fitting."""
TINY = 1e-300
"""Divisor in place of an empty sum."""

Pair = tuple[int, int]


@dataclass(frozen=True)
class Model:
    """A fitted model: the noisy number of rows, a distribution per column, and a joint distribution per edge of the tree."""

    rows: int
    columns: tuple[Any, ...]
    pairs: Mapping[Pair, Any]

    def as_json(self) -> dict[str, Any]:
        """Return the model as plain data."""
        pairs = [[list(pair), table.tolist()] for pair, table in self.pairs.items()]
        return {"rows": self.rows, "columns": [one.tolist() for one in self.columns], "pairs": pairs}

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> Model:
        """Return a model from plain data."""
        import numpy as np

        pairs = {(int(a), int(b)): np.array(table) for (a, b), table in data["pairs"]}
        return cls(int(data["rows"]), tuple(np.array(one) for one in data["columns"]), pairs)


def fitted(
    tables: Mapping[Pair, Any], singles: tuple[Any, ...], rho: float, rows: int, sampler: Sampler = draw
) -> Model:
    """Measure marginals under rho-zCDP and fit the model.

    Args:
        tables: exact counts of every pair of columns (a below b), int64.
        singles: exact counts of every column.
        rho: rho to spend.
        rows: most rows of one unit, which bounds the change of any marginal in L2.
        sampler: draws the noise.
    """
    import numpy as np

    count = len(singles)
    share = rho / 3 if count > 1 else rho
    noise = Noise("gaussian", rows / math.sqrt(2 * share / count * (1 - 1e-9)))
    noisy = [sampler(noise, values).astype(float) for values in singles]
    total = max(1.0, float(np.mean([values.sum() for values in noisy])))
    shares = [_distribution(values) for values in noisy]
    tree = _tree(tables, shares, total, (share, rows))
    measured = {}
    if tree:
        of_pairs = Noise("gaussian", rows / math.sqrt(2 * share / len(tree) * (1 - 1e-9)))
        measured = {pair: sampler(of_pairs, tables[pair]).astype(float) for pair in tree}
        shares = [_averaged(n, noisy[n], noise.scale, measured, of_pairs.scale) for n in range(count)]
    pairs = {pair: _proportional(table, shares[pair[0]], shares[pair[1]]) for pair, table in measured.items()}
    return Model(round(total), tuple(shares), pairs)


def _distribution(counts: Any) -> Any:
    """Project noisy counts to a distribution: the nearest one in L2 (Duchi et al. 2008), with the noisy total as scale."""
    import numpy as np

    total = max(1.0, float(counts.sum()))
    values = np.sort(counts / total)[::-1]
    sums = np.cumsum(values) - 1
    last = np.flatnonzero(values - sums / np.arange(1, len(values) + 1) > 0)[-1]
    return np.maximum(counts / total - sums[last] / (last + 1), 0)


def _tree(tables: Mapping[Pair, Any], shares: list[Any], total: float, spending: tuple[float, int]) -> list[Pair]:
    """Choose the edges of a spanning tree one by one among those that connect two parts (Kruskal)."""
    import numpy as np

    rho, rows = spending
    part = list(range(len(shares)))
    left = len(shares) - 1
    # A pair's distance from independence changes by at most `rows`, plus 1 for rounding.
    scale = (rows + 1) / math.sqrt(2 * rho / max(1, left) * (1 - 1e-9))
    score = {
        (a, b): round(float(np.abs(tables[a, b] - total * np.outer(shares[a], shares[b])).sum()))
        for a, b in combinations(range(len(shares)), 2)
    }
    tree: list[Pair] = []
    for _ in range(left):
        able = [pair for pair in score if part[pair[0]] != part[pair[1]]]
        chosen = able[noisy_max([score[pair] for pair in able], scale)]
        tree.append(chosen)
        old, new = part[chosen[1]], part[chosen[0]]
        part = [new if one == old else one for one in part]
    return tree


def _averaged(column: int, counts: Any, sigma: float, pairs: Mapping[Pair, Any], of_pairs: float) -> Any:
    """Average the direct and the pairwise measurements of a column, weighted by inverse variance."""
    weights, whole = 1 / sigma**2, counts / sigma**2
    for pair, table in pairs.items():
        if column in pair:
            other = 1 - pair.index(column)
            variance = of_pairs**2 * table.shape[other]
            whole, weights = whole + table.sum(axis=other) / variance, weights + 1 / variance
    return _distribution(whole / weights)


def _proportional(counts: Any, left: Any, right: Any) -> Any:
    """Fit a noisy pair to the distributions of its columns (Deming, Stephan 1940)."""
    import numpy as np

    table = np.maximum(counts, 0) / max(1.0, float(np.maximum(counts, 0).sum()))
    table = table + 1e-9 * np.outer(left, right) + 1e-15
    for _ in range(ROUNDS):
        table = table * (left / np.maximum(table.sum(axis=1), TINY))[:, None]  # a share of 0 empties its line for good
        table = table * (right / np.maximum(table.sum(axis=0), TINY))
    return table / table.sum()


def sampled(model: Model, rows: int, seed: int) -> Any:
    """Sample rows of bins (rows x columns): each column given its neighbour in the tree, starting from a root."""
    import numpy as np

    chance = np.random.default_rng(seed)
    made = np.full((rows, len(model.columns)), -1, np.int64)
    neighbours: dict[int, list[int]] = {n: [] for n in range(len(model.columns))}
    for a, b in model.pairs:
        neighbours[a].append(b)
        neighbours[b].append(a)
    for root in range(len(model.columns)):
        if made[:1, root].tolist() not in ([], [-1]):
            continue
        made[:, root] = chance.choice(len(model.columns[root]), rows, p=model.columns[root] / model.columns[root].sum())
        waiting = [root]
        while waiting:
            known = waiting.pop()
            for new in neighbours[known]:
                if rows and made[0, new] >= 0:
                    continue
                made[:, new] = _given(_table(model, known, new), made[:, known], chance)
                waiting.append(new)
    return made


def _table(model: Model, known: int, new: int) -> Any:
    return model.pairs[known, new] if (known, new) in model.pairs else model.pairs[new, known].T


def _given(table: Any, known: Any, chance: Any) -> Any:
    """Sample the second column of a pair given the first."""
    import numpy as np

    conditional = table / np.maximum(table.sum(axis=1, keepdims=True), TINY)
    sums = np.cumsum(conditional, axis=1)
    drawn = chance.random(len(known))
    return np.minimum((sums[known] < drawn[:, None]).sum(axis=1), table.shape[1] - 1)
