"""Build custom detectors from the contract's models."""

from __future__ import annotations

from collections.abc import Mapping

from dataward.contract import CustomDetector
from dataward.privacy.discover.detector import Detector, Pattern
from dataward.privacy.discover.detectors import DETECTORS
from dataward.privacy.discover.detectors.person_name import plain

__all__ = ["with_custom"]


def with_custom(custom: Mapping[str, CustomDetector]) -> tuple[Detector, ...]:
    """Return all detectors, custom ones first, because the first of equally long matches wins."""
    return (*(_detector(name, model) for name, model in sorted(custom.items())), *DETECTORS)


def _detector(name: str, model: CustomDetector) -> Detector:
    alone = not model.keywords
    pattern = Pattern(name, model.regex, 6 if alone else -2, inside="alone" if alone else "near")
    return Detector(
        class_=model.class_ or name,
        explains=f"custom detector {name}",
        patterns=(pattern,),
        names=tuple(plain(word.lower()) for word in model.keywords) or (name.replace("_", " "),),
        named=6,
        ignore=frozenset(model.ignore),
        proximity=model.proximity,
        share=model.minimum_share,
    )
