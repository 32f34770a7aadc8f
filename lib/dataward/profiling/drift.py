"""Compare two profiles of a table: PSI, Kolmogorov-Smirnov distance, new and lost categories.

PSI, the population stability index (Siddiqi, "Credit Risk Scorecards", 2006), is the sum of (q - p) * ln(q / p) over bins, with
p the shares of the first profile and q those of the second; below 0.1 the drift is small, above 0.25 large. The bins of numbers
are the deciles of the first profile, the bins of categories its values. The KS distance is the largest difference of the two
distribution functions, computed from the percentiles, with an error of about 0.02.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dataward.profiling.column import ColumnProfile

__all__ = ["Drift", "drifts"]

MODERATE, SEVERE = 0.1, 0.25
LEAST = 1e-4  # share that stands for an empty bin


@dataclass(frozen=True)
class Drift:
    """Drift of one column.

    Attributes:
        column: name of the column.
        told: the differences as text; empty where there are none.
        psi: population stability index; None: not comparable, or the values are hidden.
        ks: Kolmogorov-Smirnov distance, 0 to 1; None as for ``psi``, and for categories.
        completeness: completeness of the second profile minus that of the first.
        new: categories that only the second profile has.
        lost: categories that only the first profile has.
    """

    column: str
    told: str
    psi: float | None = None
    ks: float | None = None
    completeness: float | None = None
    new: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    @property
    def severe(self) -> bool:
        """Whether the PSI is above 0.25, or the column differs and has no PSI."""
        return bool(self.told) and (self.psi is None or self.psi > SEVERE)

    @property
    def by_completeness(self) -> bool:
        """Whether nothing but completeness was compared: the profiles hold no distribution of the values."""
        return self.psi is None and self.completeness is not None


def drifts(first: Sequence[ColumnProfile], second: Sequence[ColumnProfile]) -> list[Drift]:
    """Compare every column of the two profiles, in the order of the second; names are compared without case."""
    before = {column.name.lower(): column for column in first}
    after = {column.name.lower() for column in second}
    compared = [
        _drift(before[column.name.lower()], column)
        if column.name.lower() in before
        else Drift(column.name, "the column is new")
        for column in second
    ]
    gone = [Drift(column.name, "the column is gone") for column in first if column.name.lower() not in after]
    return [*compared, *gone]


def _drift(first: ColumnProfile, second: ColumnProfile) -> Drift:
    if not first.rows or not second.rows:
        return Drift(second.name, "there are no rows to compare")
    psi, ks, new, lost = None, None, tuple[str, ...](), tuple[str, ...]()
    if first.quantiles and second.quantiles:
        psi, ks = _of_numbers(first.quantiles, second.quantiles)
    elif first.whole:
        psi = _of_categories(first, second)
        known = {frequent.value for frequent in first.frequent}
        new = tuple(frequent.value for frequent in second.frequent if frequent.value not in known)
        lost = tuple(sorted(known - {frequent.value for frequent in second.frequent})) if second.whole else ()
    moved = (second.completeness or 0.0) - (first.completeness or 0.0)
    text = "; ".join(_differences(first, second, psi, moved, new, lost))
    return Drift(second.name, text, psi, ks, moved, new, lost)


def _differences(
    first: ColumnProfile,
    second: ColumnProfile,
    psi: float | None,
    moved: float,
    new: Sequence[str],
    lost: Sequence[str],
) -> Iterator[str]:
    """Yield the differences of two columns as text."""
    if first.type != second.type:
        yield f"type {first.type} is now {second.type}"
    if psi is not None and psi > MODERATE:
        yield f"the distribution moved {'much' if psi > SEVERE else 'somewhat'}"
    if abs(moved) > 0.02:
        yield f"completeness {'rose' if moved > 0 else 'fell'} by {abs(moved):.1%}"
    if new:
        yield f"{len(new)} new value{'s' if len(new) > 1 else ''}"
    if lost:
        yield f"{len(lost)} value{'s' if len(lost) > 1 else ''} gone"
    if (first.sensitive is None) != (second.sensitive is None):
        yield f"looks {'sensitive now' if second.sensitive else 'no longer sensitive'}"


def _share_below(quantiles: Sequence[float], at: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the share of values up to each number, by linear interpolation between percentiles."""
    shares = np.linspace(0, 1, len(quantiles))
    ends, places = np.unique(np.asarray(quantiles), return_index=True)
    last = np.append(places[1:], len(quantiles)) - 1  # the last of equal percentiles
    return np.interp(at, ends, shares[last], left=0.0, right=1.0)


def _of_numbers(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """Return PSI and KS distance from percentiles."""
    deciles = sorted(set(first[10:100:10]))
    p, q = (np.diff(np.concatenate([[0.0], _share_below(quantiles, deciles), [1.0]])) for quantiles in (first, second))
    at = sorted({*first, *second})
    ks = float(np.max(np.abs(_share_below(first, at) - _share_below(second, at))))
    return _psi(p.tolist(), q.tolist()), ks


def _of_categories(first: ColumnProfile, second: ColumnProfile) -> float:
    """Return the PSI from counts of categories; categories that are new are one bin."""
    then, now = ({frequent.value: frequent.count for frequent in column.frequent} for column in (first, second))
    before, after = first.rows - first.missing, second.rows - second.missing
    p = [count / max(before, 1) for count in then.values()]
    q = [now.get(value, 0) / max(after, 1) for value in then]
    return _psi([*p, 0.0], [*q, max(1 - sum(q), 0.0)])


def _psi(p: Sequence[float], q: Sequence[float]) -> float:
    pairs = [(max(before, LEAST), max(after, LEAST)) for before, after in zip(p, q, strict=True)]
    return float(math.fsum((after - before) * math.log(after / before) for before, after in pairs))
