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
    from rapidfuzz.distance import OSA

    far, nearest = min((OSA.distance(name, candidate, score_cutoff=NEAR), candidate) for candidate in sorted(known))
    return nearest if far <= NEAR and len(nearest) >= SHORTEST else None


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
