"""Find misspelt names of classes: no policy protects ``helth_id`` and no detector finds it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dataward.contract import Contract
from dataward.contract.protections import Column, Json, RedactText
from dataward.privacy.discover.detectors import CLASSES

__all__ = ["misspelt"]

Place = tuple[str | int, ...]

SHORTEST = 5
"""Minimum length of a name; shorter ones (vin, bin, pin) are similar although they differ in meaning."""
NEAR = 2
"""Maximum number of letters that are added, omitted, changed or swapped."""


def misspelt(contract: Contract) -> Iterator[tuple[Place, str, str]]:
    """Yield each unknown class that is similar to a known one: its place in the contract, its name, the known name.

    Classes of the policy and of custom detectors are known; other names are user-defined classes.
    """
    own = {*(contract.policy.classes if contract.policy else ())}
    own |= {detector.class_ or name for name, detector in contract.discovery.detectors.items()}
    known = CLASSES | {name for name in own if _near(name, CLASSES) is None}
    for place, name in _named(contract):
        if name not in known and (meant := _near(name, known)):
            yield place, name, meant


def _near(name: str, known: Iterable[str]) -> str | None:
    """Return the most similar known class; None where none is similar."""
    if name in CLASSES or len(name) < SHORTEST:
        return None
    far, nearest = min((_distance(name, candidate), candidate) for candidate in sorted(known))
    return nearest if far <= NEAR and len(nearest) >= SHORTEST else None


def _distance(one: str, two: str) -> int:
    """Return how many letters are added, removed, replaced or swapped with their neighbour (optimal string alignment); NEAR + 1: more than NEAR."""
    if abs(len(one) - len(two)) > NEAR:
        return NEAR + 1
    before: list[int] = []
    last: list[int] = []
    row = list(range(len(two) + 1))
    for i, a in enumerate(one, 1):
        before, last, row = last, row, [i]
        for j, b in enumerate(two, 1):
            least = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            swapped = i > 1 and j > 1 and a == two[j - 2] and b == one[i - 2]
            row.append(min(least, before[j - 2] + 1) if swapped else least)
    return row[-1]


def _named(contract: Contract) -> Iterator[tuple[Place, str]]:
    """Yield every class that a contract names, with its place."""
    for path, line in contract.columns.items():
        yield from ((("columns", path), name) for name in _of_line(line))
    for number, allowed in enumerate(contract.access.reidentify):
        yield from ((("access", "reidentify", number, "classes"), name) for name in allowed.classes)
    for name in contract.policy.classes if contract.policy else ():
        yield ("policy",), name


def _of_line(line: Column) -> Iterator[str]:
    if line.class_ is not None:
        yield line.class_
    if isinstance(line.protect, RedactText):
        yield from line.protect.classes
    if isinstance(line.protect, Json):
        for inner in line.protect.fields.values():
            yield from _of_line(inner)
