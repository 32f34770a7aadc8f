"""How a second profile of a table differs from a first: PSI, the Kolmogorov-Smirnov distance, new and lost categories.

PSI, the population stability index (Siddiqi, "Credit Risk Scorecards", 2006): the sum of (q - p) * ln(q / p) over bins, p of the
first and q of the second; below 0.1 little has moved, above 0.25 much has. Bins of numbers are the tenths of the first,
those of categories its values. The KS distance is the largest difference of the two distribution functions, here read
off a hundred percentiles each, so to within about 0.02.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dataward.quality.profile.column import ColumnProfile

__all__ = ["Drift", "drifts"]

MODERATE, SEVERE = 0.1, 0.25
LEAST = 1e-4  # the share that an empty bin is given


@dataclass(frozen=True)
class Drift:
    """How one column moved; None where there is nothing to compare, or it is hidden. ``completeness`` is second minus first."""

    column: str
    told: str
    psi: float | None = None
    ks: float | None = None
    completeness: float | None = None
    new: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    @property
    def severe(self) -> bool:
        return bool(self.told) and (self.psi is None or self.psi > SEVERE)


def drifts(first: Sequence[ColumnProfile], second: Sequence[ColumnProfile]) -> list[Drift]:
    """Every column of either, in the order of the second; names compare without case."""
    before = {column.name.lower(): column for column in first}
    after = {column.name.lower() for column in second}
    found = [
        _drift(before[column.name.lower()], column)
        if column.name.lower() in before
        else Drift(column.name, "the column is new")
        for column in second
    ]
    gone = [Drift(column.name, "the column is gone") for column in first if column.name.lower() not in after]
    return [*found, *gone]


def _drift(first: ColumnProfile, second: ColumnProfile) -> Drift:
    if not first.rows or not second.rows:
        return Drift(second.name, "there are no rows to compare")
    psi, ks, new, lost = None, None, tuple[str, ...](), tuple[str, ...]()
    if first.quantiles and second.quantiles:
        psi, ks = _of_numbers(first.quantiles, second.quantiles)
    elif first.whole:
        psi = _of_categories(first, second)
        known = {one.value for one in first.frequent}
        new = tuple(one.value for one in second.frequent if one.value not in known)
        lost = tuple(sorted(known - {one.value for one in second.frequent})) if second.whole else ()
    moved = (second.completeness or 0.0) - (first.completeness or 0.0)
    told = "; ".join(_told(first, second, psi, moved, new, lost))
    return Drift(second.name, told, psi, ks, moved, new, lost)


def _told(
    first: ColumnProfile,
    second: ColumnProfile,
    psi: float | None,
    moved: float,
    new: Sequence[str],
    lost: Sequence[str],
) -> Iterator[str]:
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
    """The share of values up to each number, between percentiles by their straight line."""
    shares = np.linspace(0, 1, len(quantiles))
    ends, places = np.unique(np.asarray(quantiles), return_index=True)
    last = np.append(places[1:], len(quantiles)) - 1  # of equal percentiles the last
    return np.interp(at, ends, shares[last], left=0.0, right=1.0)


def _of_numbers(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    tenths = sorted(set(first[10:100:10]))
    p, q = (np.diff(np.concatenate([[0.0], _share_below(one, tenths), [1.0]])) for one in (first, second))
    at = sorted({*first, *second})
    ks = float(np.max(np.abs(_share_below(first, at) - _share_below(second, at))))
    return _psi(p.tolist(), q.tolist()), ks


def _of_categories(first: ColumnProfile, second: ColumnProfile) -> float:
    then, now = ({one.value: one.count for one in column.frequent} for column in (first, second))
    before, after = first.rows - first.missing, second.rows - second.missing
    p = [count / max(before, 1) for count in then.values()]
    q = [now.get(value, 0) / max(after, 1) for value in then]
    return _psi([*p, 0.0], [*q, max(1 - sum(q), 0.0)])


def _psi(p: Sequence[float], q: Sequence[float]) -> float:
    pairs = [(max(one, LEAST), max(other, LEAST)) for one, other in zip(p, q, strict=True)]
    return float(math.fsum((other - one) * math.log(other / one) for one, other in pairs))
