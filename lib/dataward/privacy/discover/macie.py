"""Translate detectors into custom data identifiers of Amazon Macie.

Macie has no checksums and no flags in patterns, and takes 512 characters. Shapes that a checksum would tell, and weak shapes, are found
only near one of the detector's words; strong ones anywhere. What has no such shape (names of people, words) is left to Dataward.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dataward.privacy.discover.detector import Detector, Pattern
from dataward.privacy.discover.detectors import DETECTORS

__all__ = ["Identifier", "identifiers", "template"]

LONGEST, KEYWORDS, DISTANCE = 512, 50, 300
STRONG, WEAKEST = 6.0, 1.0
CLASSES = {r"\p{Lu}": "A-Z", r"\p{Ll}": "a-z", r"\p{L}": "A-Za-z"}
NOT_SECRET = ("protected",)


@dataclass(frozen=True)
class Identifier:
    """One custom data identifier; without keywords it is found anywhere."""

    name: str
    description: str
    regex: str
    keywords: tuple[str, ...] = ()
    distance: int = 50


def identifiers() -> list[Identifier]:
    """Return the identifiers of all detectors, by name."""
    found = [one for detector in DETECTORS if detector.class_ not in NOT_SECRET for one in _of(detector)]
    return sorted(found, key=lambda one: one.name)


def template() -> dict[str, Any]:
    """Return a CloudFormation template with a Macie session and the identifiers."""
    resources: dict[str, Any] = {
        "Session": {
            "Type": "AWS::Macie::Session",
            "Properties": {"Status": "ENABLED", "FindingPublishingFrequency": "FIFTEEN_MINUTES"},
        }
    }
    for one in identifiers():
        properties: dict[str, Any] = {
            "Name": f"dataward-{one.name}",
            "Description": one.description,
            "Regex": one.regex,
        }
        if one.keywords:
            properties |= {"Keywords": list(one.keywords), "MaximumMatchDistance": one.distance}
        logical = "".join(part.capitalize() for part in re.split(r"[^a-z0-9]+", one.name))
        resources[logical] = {
            "Type": "AWS::Macie::CustomDataIdentifier", "DependsOn": "Session", "Properties": properties,
        }  # fmt: skip
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Dataward: custom data identifiers of Amazon Macie, generated from the detectors of dataward discover",
        "Resources": resources,
    }


def _of(detector: Detector) -> Iterator[Identifier]:
    words = tuple(dict.fromkeys(name for name in (*detector.names, *detector.hints) if 3 <= len(name) <= 90))[:KEYWORDS]
    strong = [p for p in detector.patterns if p.inside == "alone" and p.check is None and p.odds >= STRONG]
    others = [p for p in detector.patterns if p.inside and p not in strong and p.odds >= WEAKEST]
    name, description = detector.class_.replace("_", "-"), f"Dataward: {detector.explains}"
    for number, regex in enumerate(_joined(strong), 1):
        yield Identifier(f"{name}-{number}", description, regex)
    for number, regex in enumerate(_joined(others), 1):
        if words:
            yield Identifier(
                f"{name}-near-words-{number}", description, regex, words, min(detector.proximity, DISTANCE)
            )


def _joined(patterns: list[Pattern]) -> Iterator[str]:
    """Return alternatives of as many patterns as fit into one."""
    joined = ""
    for pattern in patterns:
        regex = _translated(pattern.regex)
        if regex is not None and len(regex) > LONGEST:  # both cases of every letter take too much: as it is written
            regex = _translated(pattern.regex.removeprefix("(?i)"))
        if regex is None or len(regex) > LONGEST:
            continue
        if joined and len(joined) + 1 + len(regex) > LONGEST:
            yield joined
            joined = ""
        joined = f"{joined}|{regex}" if joined else regex
    if joined:
        yield joined


def _translated(regex: str) -> str | None:
    """Return a pattern without flags and Unicode classes; None where it needs what Macie lacks."""
    if regex.startswith("(?s)"):
        return None
    folds, regex = regex.startswith("(?i)"), regex.removeprefix("(?i)")
    found, inside, place = [], False, 0
    while place < len(regex):
        unit = next((name for name in CLASSES if regex.startswith(name, place)), None)
        if unit is not None:
            found.append(CLASSES[unit] if inside else f"[{CLASSES[unit]}]")
        elif regex.startswith(r"\p", place):
            return None
        elif (spelt := re.compile(r"\\.|\(\?:|[A-Za-z]-[A-Za-z]|.", re.S).match(regex, place)) is not None:
            unit = spelt[0] if inside or "-" not in spelt[0] or len(spelt[0]) != 3 else spelt[0][0]
            inside = (inside or unit == "[") and unit != "]"
            found.append(_both_cases(unit, inside) if folds else unit)
        place += len(unit or "")
    return "".join(found)


def _both_cases(unit: str, inside: bool) -> str:
    if not unit[0].isalpha() or unit[0] == "\\":
        return unit
    both = unit.lower() + unit.upper()
    return both if inside else f"[{both}]"
