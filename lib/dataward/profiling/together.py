"""Compute pairwise Pearson correlations of many columns from mergeable partial sums.

Each pair is correlated over the rows in which both columns are finite. Sums of products are merged like the sums of squares
of Chan, Golub & LeVeque (1979), a matrix at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Together"]

Matrix = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Together:
    """Partial sums of columns i and j, over the rows in which both are finite.

    Attributes:
        rows: [i, j] number of these rows.
        means: [i, j] mean of column i.
        products: [i, j] sum of the products of both deviations.
        squares: [i, j] sum of the squared deviations of column i.
    """

    rows: Matrix
    means: Matrix
    products: Matrix
    squares: Matrix

    @classmethod
    def of(cls, numbers: Matrix) -> Together:
        """Compute the partial sums of an array of shape (rows, columns); NaN stands for a missing number."""
        present = np.isfinite(numbers).astype(float)
        counts = present.sum(axis=0)
        middle = np.where(present > 0, numbers, 0).sum(axis=0) / np.maximum(counts, 1)
        centred = np.where(present > 0, numbers - middle, 0.0)  # avoids cancellation of large numbers
        rows = present.T @ present
        divisor = np.maximum(rows, 1)
        means = (centred.T @ present) / divisor
        products = centred.T @ centred - rows * means * means.T
        squares = (centred**2).T @ present - rows * means**2
        return cls(rows, means + middle[:, None], products, squares)

    def plus(self, other: Together) -> Together:
        """Merge the partial sums of two sets of rows."""
        rows = self.rows + other.rows
        divisor = np.maximum(rows, 1)
        difference, weight = other.means - self.means, self.rows * other.rows / divisor
        return Together(
            rows,
            self.means + difference * other.rows / divisor,
            self.products + other.products + difference * difference.T * weight,
            self.squares + other.squares + difference**2 * weight,
        )

    def correlations(self) -> Matrix:
        """Return the correlation matrix; NaN where a column is constant, or fewer than three rows hold both columns."""
        with np.errstate(divide="ignore", invalid="ignore"):
            matrix = self.products / np.sqrt(self.squares * self.squares.T)
        matrix[(self.rows < 3) | ~np.isfinite(matrix)] = np.nan
        clipped: Matrix = np.clip(matrix, -1, 1)
        return clipped
