"""Names of classes that are not meant: ``helth_id`` is protected by no policy and found by no detector."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dataward.contract import Contract
from dataward.contract.protections import Column, Json, RedactText
from dataward.privacy.discover.detectors import CLASSES

__all__ = ["misspelt"]

Place = tuple[str | int, ...]

SHORTEST = 5
"""Letters of a name; shorter ones (vin, bin, pin) are near each other and mean different things."""
NEAR = 2
"""Letters that are added, left out, changed or swapped."""


def misspelt(contract: Contract) -> Iterator[tuple[Place, str, str]]:
    """Each class that is unknown and nearly a known one: its place in the contract, its name, the known one.

    A house's own classes are any others; those of its policy and its detectors are known.
    """
    own = {*(contract.policy.classes if contract.policy else ())}
    own |= {given.class_ or name for name, given in contract.discovery.detectors.items()}
    known = CLASSES | {name for name in own if _near(name, CLASSES) is None}
    for place, name in _named(contract):
        if name not in known and (meant := _near(name, known)):
            yield place, name, meant


def _near(name: str, known: Iterable[str]) -> str | None:
    from rapidfuzz.distance import OSA

    if name in CLASSES or len(name) < SHORTEST:
        return None
    far, nearest = min((OSA.distance(name, other, score_cutoff=NEAR), other) for other in sorted(known))
    return nearest if far <= NEAR and len(nearest) >= SHORTEST else None


def _named(contract: Contract) -> Iterator[tuple[Place, str]]:
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
