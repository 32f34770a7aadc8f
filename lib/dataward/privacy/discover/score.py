"""From what was counted to a class, how sure that is, and within which bounds.

The share of a column's texts that are of a class is estimated from those that pass a pattern's check: with chance ``q`` of
passing without being it and ``s`` of passing when being it, a rate ``r`` of passing tells a share of ``(r - q) / (s - q)``.
Both the rate of the shape and that of the check are given with their Wilson score intervals at 95% (Wilson, *Probable
Inference*, 1927), which is where the bounds come from. Shares, the pattern's odds and the column's name add up to log odds
(Good, *Weight of Evidence*, 1985), and the classes compete for the column with "none of them" (a softmax).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from dataward.privacy.discover.context import other_thing, told_by_name, words_of_name
from dataward.privacy.discover.detector import Detector, Pattern
from dataward.privacy.discover.detectors import DETECTORS
from dataward.privacy.discover.evidence import Counted, Evidence

__all__ = ["UNSEEN", "Confidence", "Finding", "judge_column", "residues"]

Z = 1.96
AGAINST = 9.0
"""What a column of texts none of which are of a class has against it, in log odds."""
NEAR = 0.2
"""The probability of a class from which on it is named where it was not enough."""
WHOLE = 0.85
"""Least share of texts of a class in a column of that class: some texts are placeholders of missing ones."""
OF_FEW = frozenset({"protected", "gender", "blood_type", "religion", "marital_status", "diagnosis"})


@dataclass(frozen=True)
class Confidence:
    """The probability that the finding is right, from 0 to 1, with its bounds; of "nothing" that none of the classes fits."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Finding:
    """Class of a column.

    Attributes:
        column: name or path of the column.
        class_: its class; None: nothing was found.
        confidence: confidence of the class.
        evidence: reasons for people, without values.
        inside: (class, share of texts) of matches within the texts.
        values: number of values.
        prose: whether it is free text of no class, of which patterns recognise only a part.
    """

    column: str
    class_: str | None
    confidence: Confidence
    evidence: tuple[str, ...]
    inside: tuple[tuple[str, float], ...] = ()
    values: int = 0
    prose: bool = False

    @property
    def sensitive(self) -> bool:
        """Whether it is of a class, and nobody has protected it."""
        return self.class_ not in (None, "protected")


def interval(successes: float, trials: float) -> tuple[float, float, float]:
    """Return the posterior mean of a rate under a uniform prior, and its Wilson interval."""
    if trials <= 0:
        return 0.5, 0.0, 1.0
    rate, z2 = successes / trials, Z * Z
    middle = (rate + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z / (1 + z2 / trials) * math.sqrt(rate * (1 - rate) / trials + z2 / (4 * trials * trials))
    mean = (successes + 1) / (trials + 2)
    return mean, max(0.0, middle - half), min(1.0, middle + half)


UNSEEN = "names, places, addresses and stories inside of free text are seen only where a list or a form tells them"


def judge_column(
    column: str, evidence: Evidence, detectors: Sequence[Detector] = DETECTORS, beside: Iterable[str] = ()
) -> Finding:
    """Return the class of a column; ``beside`` holds all column names of the table."""
    found = _judged(column, evidence, detectors, beside)
    if found.class_ is not None or not evidence.is_prose:
        return found
    return replace(found, prose=True, evidence=(*found.evidence, UNSEEN))


def _judged(column: str, evidence: Evidence, detectors: Sequence[Detector], beside: Iterable[str]) -> Finding:
    inside = residues(evidence)
    if not evidence.texts:
        return Finding(column, None, Confidence(0.0, 0.0, 1.0), ("it holds no text",), (), evidence.values)
    near = frozenset(word for name in beside for word in words_of_name(name))
    by_name, elsewhere = told_by_name(column, detectors), other_thing(column)
    scale = evidence.distinct / evidence.texts
    few = evidence.distinct <= 6 and evidence.values >= 50
    odds: dict[str, tuple[float, float, float]] = {}
    why: dict[str, tuple[str, ...]] = {}
    for one in detectors:
        by_values = _by_values(one, evidence, scale)
        if by_values is None:
            continue
        (middle, low, high), words = by_values
        extra = 0.0
        if one.class_ in by_name:
            extra += one.of_name(by_name[one.class_], near)
            words += (f"the name says '{by_name[one.class_]}'",)
        elif elsewhere:
            extra -= 2.5
        if few and one.class_ not in OF_FEW:
            extra -= 2.0
            words += (f"only {evidence.distinct:.0f} different texts",)
        odds[one.class_] = (middle + extra, low + extra, high + extra)
        why[one.class_] = words
    if not odds:
        unseen = interval(0, evidence.distinct)[2]  # how large a share could be of which nothing was seen
        sure = _confidence(1 - unseen / 2, 1 - unseen, 1.0)
        return Finding(column, None, sure, ("no pattern fits",), inside, evidence.values)
    best = max(odds, key=lambda class_: odds[class_][0])
    rest = 1.0 + sum(math.exp(middle) for class_, (middle, _, _) in odds.items() if class_ != best)
    value, low, high = (math.exp(x) / (rest + math.exp(x)) for x in odds[best])
    if value < 0.5:
        nothing, least, most = (1.0 / (rest + math.exp(x)) for x in (odds[best][0], odds[best][2], odds[best][1]))
        # What only has the shape of any word or number is near to nothing.
        why_not = (f"not enough for {best}", *why[best]) if value >= NEAR else ("nothing that tells a class",)
        return Finding(column, None, _confidence(nothing, least, most), why_not, inside, evidence.values)
    sure = _confidence(value, low, high)
    inside = tuple(one for one in inside if one[0] != best)
    length = f"{evidence.values:,} values, about {evidence.distinct:,.0f} different, {evidence.mean_length:.0f} characters on average"
    return Finding(column, best, sure, (*why[best], length), inside, evidence.values)


def _confidence(value: float, low: float, high: float) -> Confidence:
    return Confidence(round(value, 4), round(min(low, value), 4), round(max(high, value), 4))


def _by_values(
    one: Detector, evidence: Evidence, scale: float
) -> tuple[tuple[float, float, float], tuple[str, ...]] | None:
    """Return the strongest log odds of a pattern, or of all together, with bounds and reasons."""
    counted: list[tuple[Counted, Pattern, str]] = []
    for pattern in one.patterns:
        if found := evidence.whole.get(f"{one.class_}: {pattern.name}"):
            counted.append((found, pattern, pattern.name))
    if not counted:
        return None
    if (both := evidence.whole.get(one.class_)) and len(counted) > 1:
        strong = [(found.matched, pattern) for found, pattern, _ in counted if pattern.odds > 0]
        odds = sum(count * pattern.odds for count, pattern in strong) / sum(count for count, _ in strong)
        expected = min(pattern.expected for _, pattern in strong)
        counted.append((both, Pattern("any form", "", odds, expected=expected), "any form"))
    best: tuple[float, float, float] | None = None
    words: tuple[str, ...] = ()
    for found, pattern, name in counted:
        shares, why = _shares(found, pattern, evidence.texts, scale)
        if shares[0] < one.share:
            continue
        middle, low, high = (
            pattern.odds * w - AGAINST * (1 - w) for w in (min(1.0, share / WHOLE) for share in shares)
        )
        if best is None or middle > best[0]:
            best, words = (middle, low, high), (f"{name}: {why}",)
    return (best, words) if best else None


def _shares(found: Counted, pattern: Pattern, texts: int, scale: float) -> tuple[tuple[float, float, float], str]:
    """Return the share of the texts that are of the class, with its bounds, and as text."""
    matched, trials = found.matched * scale, texts * scale
    shape = interval(matched, trials)
    why = f"{found.matched / texts:.0%} have its shape"
    if found.by_chance >= found.matched:  # there is no check to pass
        return shape, why
    chance = found.by_chance / found.matched
    rates = interval(found.passed * scale, matched)
    real = [min(1.0, max(0.0, (rate - chance) / max(pattern.expected - chance, 0.02))) for rate in rates]
    why += f", {found.passed / found.matched:.0%} of these pass its check ({chance:.1%} would by chance)"
    return (shape[0] * real[0], shape[1] * real[1], shape[2] * real[2]), why


def residues(evidence: Evidence) -> tuple[tuple[str, float], ...]:
    """Return the classes found inside of texts more often than by chance with the share of texts that hold one, the largest first."""
    found = []
    for class_, counted in evidence.inside.items():
        extra = counted.passed - counted.by_chance
        spread = math.sqrt(max(counted.by_chance * (1 - counted.by_chance / max(counted.matched, 1)), 0.0))
        if extra >= max(0.5, 2.33 * spread):
            found.append((class_, round(extra / max(evidence.texts, 1), 6)))
    return tuple(sorted(found, key=lambda one: -one[1]))
