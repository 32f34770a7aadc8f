"""Pearson correlations of many columns at once, each pair over the rows in which both are there; partial ones add up.

Sums of products are merged as Chan, Golub & LeVeque (1979) merge sums of squares, a matrix at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Together"]

Matrix = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Together:
    """Of columns i and j: ``rows`` in which both are, ``means`` of i there, and the ``products`` of their deviations."""

    rows: Matrix
    means: Matrix
    products: Matrix
    squares: Matrix  # of the deviations of i

    @classmethod
    def of(cls, numbers: Matrix) -> Together:
        """Of a matrix of rows and columns; NaN where nothing is."""
        there = np.isfinite(numbers).astype(float)
        known = there.sum(axis=0)
        middle = np.where(there > 0, numbers, 0).sum(axis=0) / np.maximum(known, 1)
        centred = np.where(there > 0, numbers - middle, 0.0)  # so that large numbers do not cancel
        rows = there.T @ there
        some = np.maximum(rows, 1)
        means = (centred.T @ there) / some
        products = centred.T @ centred - rows * means * means.T
        squares = (centred**2).T @ there - rows * means**2
        return cls(rows, means + middle[:, None], products, squares)

    def plus(self, other: Together) -> Together:
        rows = self.rows + other.rows
        some = np.maximum(rows, 1)
        apart, weight = other.means - self.means, self.rows * other.rows / some
        return Together(
            rows,
            self.means + apart * other.rows / some,
            self.products + other.products + apart * apart.T * weight,
            self.squares + other.squares + apart**2 * weight,
        )

    def correlations(self) -> Matrix:
        """NaN where a column does not vary, or fewer than three rows hold both."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found = self.products / np.sqrt(self.squares * self.squares.T)
        found[(self.rows < 3) | ~np.isfinite(found)] = np.nan
        clipped: Matrix = np.clip(found, -1, 1)
        return clipped
