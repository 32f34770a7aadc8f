"""Detectors of a house's own, from the contract's models."""

from __future__ import annotations

from collections.abc import Mapping

from dataward.contract import CustomDetector
from dataward.privacy.discover.detector import Detector, Pattern
from dataward.privacy.discover.detectors import DETECTORS
from dataward.privacy.discover.detectors.person_name import plain

__all__ = ["with_custom"]


def with_custom(custom: Mapping[str, CustomDetector]) -> tuple[Detector, ...]:
    """Every detector, the house's own first: of spans as long, theirs stays."""
    return (*(_made(name, given) for name, given in sorted(custom.items())), *DETECTORS)


def _made(name: str, given: CustomDetector) -> Detector:
    alone = not given.keywords
    pattern = Pattern(name, given.regex, 6 if alone else -2, inside="alone" if alone else "near")
    return Detector(
        class_=given.class_ or name,
        explains=f"custom detector {name}",
        patterns=(pattern,),
        names=tuple(plain(word.lower()) for word in given.keywords) or (name.replace("_", " "),),
        named=6,
        ignore=frozenset(given.ignore),
        proximity=given.proximity,
        share=given.minimum_share,
    )
