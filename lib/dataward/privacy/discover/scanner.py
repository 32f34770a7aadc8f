"""All patterns of all detectors at once over texts: one automaton for whole values, one for values inside of text."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from dataward.errors import RunError
from dataward.privacy.discover.detector import Detector, Pattern
from dataward.privacy.discover.detectors import DETECTORS
from dataward.privacy.discover.detectors.protected import SHAPE
from dataward.privacy.discover.evidence import Counted, Evidence
from dataward.privacy.discover.fold import fold, fold_with_places

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Scanner", "Span", "scanner"]

MEMORY = 256 << 20
"""Bytes that an automaton may take; beyond, it discards its cache and starts again."""

ENOUGH = 100
"""Texts of one shape that are checked first; where no more pass than by chance, the rest of a batch is not checked."""

NOTHING = frozenset(
    ("- -- . .. ? n/a na #n/a none null nil nan missing unknown undefined tbd not available keine").split()
) | {"not available"}
"""Texts that are written for a missing value."""


AHEAD = 80
"""Characters of a text that failed, and beyond it, in which one that begins a word later is looked for."""

DATED = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?(?: ?(?:Z|UTC|[+-][0-9]{2}:?[0-9]{2}))?)?"
)
"""Dates and timestamps (ISO 8601, and as Spark writes them): no cookie, login or password, whatever the column is called."""

DECIMAL = re.compile(r"[+-]?[0-9]+\.[0-9]+")
"""Numbers with a fraction: no number of an ID, though some forms allow a single dot. Of a million measures a few pass every check."""

PARTED = re.compile(r"[^\w.+-]")
"""Pattern of a text that is searched for values inside of it; a single word is examined as a whole."""

OURS = re.compile(rf"\b{SHAPE}\b")
"""Tokens inside of text, which are skipped: one in a few thousand would pass as an IBAN."""


@dataclass(frozen=True)
class Span:
    """Something found inside of a text, from ``start`` to before ``end``, in characters of the text as it was given."""

    start: int
    end: int
    class_: str
    chance: float


@lru_cache(maxsize=8)
def scanner(detectors: tuple[Detector, ...] = DETECTORS) -> Scanner:
    """Return the scanner of some detectors."""
    return Scanner(detectors)


def _options() -> Any:
    import re2

    options = re2.Options()
    options.max_mem, options.log_errors, options.never_capture = MEMORY, False, True
    return options


class Scanner:
    """Compiled patterns of detectors, which scan columns and texts."""

    def __init__(self, detectors: tuple[Detector, ...]) -> None:
        """Compile the patterns of the detectors."""
        import re2

        self.detectors = detectors
        self.patterns: list[tuple[int, Pattern]] = [(n, p) for n, one in enumerate(detectors) for p in one.patterns]
        self.labels = [f"{detectors[n].class_}: {pattern.name}" for n, pattern in self.patterns]
        self.whole = re2.Set.FullMatchSet(_options())
        for _, pattern in self.patterns:
            self.whole.Add(pattern.regex)
        self.whole.Compile()
        self.dateless = frozenset(n for n, (_, p) in enumerate(self.patterns) if p.bare and not p.dates)
        self.alone = frozenset(number for number, (_, p) in enumerate(self.patterns) if p.inside == "alone")
        # What begins in the middle of a word is no find: saying so keeps the automaton small on random letters and digits.
        self.within = [(n, p, re2.compile(p.regex, _options())) for n, p in self.patterns if p.inside == "alone"]
        self.inside = re2.Set.SearchSet(_options())
        for _, pattern, _ in self.within:
            self.inside.Add(rf"(?:^|[^\p{{L}}0-9_])(?:{pattern.regex})")
        near: dict[int, list[Pattern]] = {}
        for n, pattern in self.patterns:
            if pattern.inside == "near":
                near.setdefault(n, []).append(pattern)
        # Shapes that mean something only near a word: looked for where the word is.
        self.near = [
            (
                n,
                re2.compile(_words(detectors[n]), _options()),
                [(p, re2.compile(p.regex, _options())) for p in patterns],
            )
            for n, patterns in near.items()
        ]
        for n in near:
            self.inside.Add(_words(detectors[n]))
        self.inside.Compile()
        probe = "ada@example.org"  # an automaton that lacks memory says of everything that it does not match
        if not (self.whole.Match(probe) and self.inside.Match(f"to {probe}")):
            raise RunError(
                "discovery: RE2 has not the memory for these patterns; leave out custom detectors with large repetitions"
            )

    # columns

    def look_at(self, values: pa.Array) -> Evidence:
        """Collect the evidence of a column's values; each distinct text is examined once."""
        import pyarrow as pa
        import pyarrow.compute as pc

        counted = pc.value_counts(values.cast(pa.binary()))
        texts = [None if text is None else text.decode("utf-8", "replace") for text in counted.field(0).to_pylist()]
        return self.look(texts, counted.field(1).to_pylist())

    def look(self, texts: Sequence[str | None], counts: Sequence[int] | None = None) -> Evidence:
        """Collect the evidence of distinct texts; ``counts`` holds the number of rows of each (None: one)."""
        evidence = Evidence()
        folded: list[str] = []
        for place, text in enumerate(texts):
            rows = 1 if counts is None else counts[place]
            if text is None or not (bare := fold(text).strip()) or bare.lower() in NOTHING:
                evidence.nulls += rows
                continue
            evidence.values += rows
            folded.append(bare)
        evidence.texts = len(folded)
        evidence.characters = sum(map(len, folded))
        evidence.prose = sum(text.count(" ") >= 4 for text in folded)
        evidence.see(int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") for text in folded)
        matched: dict[int, list[int]] = {}
        match = self.whole.Match
        for place, text in enumerate(folded):
            found = match(text)
            if found and text[4:5] == "-" and DATED.fullmatch(text):
                found = [number for number in found if number not in self.dateless]
            for number in found or ():
                matched.setdefault(number, []).append(place)
            if PARTED.search(text) and (found is None or not self.alone.intersection(found)):
                self._look_inside(text, evidence)
        self._check(matched, folded, evidence)
        return evidence

    def _check(self, matched: dict[int, list[int]], folded: list[str], evidence: Evidence) -> None:
        """Count by pattern, and by class over all of its patterns."""
        import numpy as np

        passing: dict[int, Any] = {}
        failing_by_chance: dict[int, Any] = {}
        shaped: dict[int, Any] = {}
        for number, places in sorted(matched.items()):
            n, pattern = self.patterns[number]
            if ignored := self.detectors[n].ignore:
                places = [place for place in places if folded[place] not in ignored]
            if not places:
                continue
            passed = self._passed(pattern, [folded[place] for place in places])
            counted = Counted(len(places), float(passed.sum()), pattern.chance * len(places))
            evidence.whole[self.labels[number]] = counted
            if number in self.alone:
                idle = np.array([DECIMAL.fullmatch(folded[place]) is not None for place in places])
                shapes = float(len(places) - idle.sum())
                alone = Counted(shapes, float(passed[~idle].sum()), pattern.by_chance * shapes)
                evidence.inside.setdefault(self.detectors[n].class_, Counted()).add(alone)
            if pattern.odds <= 0:
                continue
            chance = pattern.by_chance
            if passed.mean() < chance + 0.25 * (1 - chance):
                continue  # by chance: such texts are not this pattern's
            if n not in passing:
                passing[n], failing_by_chance[n] = np.zeros(len(folded), bool), np.ones(len(folded))
                shaped[n] = np.zeros(len(folded), bool)
            passing[n][places] |= passed > 0.5
            shaped[n][places] = True
            failing_by_chance[n][places] *= 1 - chance
        for n, passed in passing.items():
            by_chance = float((1 - failing_by_chance[n]).sum())
            evidence.whole[self.detectors[n].class_] = Counted(float(shaped[n].sum()), float(passed.sum()), by_chance)

    @staticmethod
    def _passed(pattern: Pattern, texts: list[str]) -> Any:
        """Return 1 for texts that pass; where chance explains the passes of a first part, extrapolate chance to the rest.

        An accidental surplus among a hundred texts must never be multiplied: of random digits 2% pass a check of 1% in one case of four,
        and a column of ten thousand would seem to hold a hundred numbers.
        """
        import numpy as np

        if pattern.check is None:
            return np.ones(len(texts))
        first = np.asarray(pattern.check(texts[:ENOUGH]), float)
        if len(texts) <= ENOUGH:
            return first
        by_chance = pattern.chance * ENOUGH
        if first.sum() <= by_chance + 2.33 * math.sqrt(by_chance * (1 - pattern.chance)):
            return np.append(first, np.full(len(texts) - ENOUGH, min(first.mean(), pattern.chance)))
        return np.append(first, np.asarray(pattern.check(texts[ENOUGH:]), float))

    def _look_inside(self, text: str, evidence: Evidence) -> None:
        by_class: dict[str, float] = {}
        shaped: dict[str, bool] = {}
        for span, passed in self._found(text):
            by_class[span.class_] = by_class.get(span.class_, 1.0) * (1 - span.chance)
            shaped[span.class_] = shaped.get(span.class_, False) or passed
        for class_, failing in by_class.items():
            counted = evidence.inside.setdefault(class_, Counted())
            counted.add(Counted(1, float(shaped[class_]), 1 - failing))

    # inside of text

    def _found(self, folded: str) -> Iterator[tuple[Span, bool]]:
        """Yield each free-standing span of a pattern's shape with whether it passes, by offsets in the folded text."""
        folded = OURS.sub(lambda token: "\0" * len(token[0]), folded)
        for number in self.inside.Match(folded) or ():
            if number < len(self.within):
                n, pattern, regex = self.within[number]
                yield from self._spans_of(n, pattern, regex, folded, None)
            else:
                n, words, patterns = self.near[number - len(self.within)]
                reach = self.detectors[n].proximity
                places = [found.end() for found in words.finditer(folded)]
                for pattern, regex in patterns:
                    yield from self._spans_of(n, pattern, regex, folded, [(place, place + reach) for place in places])

    def _spans_of(
        self, n: int, pattern: Pattern, regex: Any, folded: str, reaches: list[tuple[int, int]] | None
    ) -> Iterator[tuple[Span, bool]]:
        for found in regex.finditer(folded):
            start, end = found.span()
            while True:
                free = _free(folded, start, end) and folded[start:end] not in self.detectors[n].ignore
                near = reaches is None or any(low - 1 <= start <= high for low, high in reaches)
                passed = free and near and (pattern.check is None or bool(pattern.check([folded[start:end]])[0]))
                if free and near:
                    yield Span(start, end, self.detectors[n].class_, pattern.by_chance), passed
                # What fails may have begun a word too early: "Call Ada Smith".
                gap = -1 if passed or end - start > AHEAD else folded.find(" ", start, end)
                later = regex.search(folded[gap + 1 : end + AHEAD]) if gap >= 0 else None
                if later is None or gap + 1 + later.start() >= found.end():
                    break
                start, end = gap + 1 + later.start(), gap + 1 + later.end()

    def spans(self, text: str) -> list[Span]:
        """Return the spans in a text, in order; of overlapping spans the longest is kept, then the first detector's."""
        folded, places = fold_with_places(text)
        found = sorted(
            (span for span, passed in self._found(folded) if passed), key=lambda s: (s.start - s.end, s.start)
        )
        chosen: list[Span] = []
        taken = bytearray(len(folded))
        for span in found:
            if not any(taken[span.start : span.end]):
                taken[span.start : span.end] = b"\1" * (span.end - span.start)
                chosen.append(span)
        chosen.sort(key=lambda span: span.start)
        if places is None:
            return chosen
        return [Span(places[s.start], _end(places, s.end), s.class_, s.chance) for s in chosen]


def _end(places: list[int], end: int) -> int:
    """Return the end in the given text of a span that ends before ``end`` of the folded text."""
    return places[end - 1] + 1 if end else 0


def _free(text: str, start: int, end: int) -> bool:
    """Return whether a span is no part of a longer word or number."""
    before, first = text[start - 1 : start], text[start]
    after, last = text[end : end + 1], text[end - 1]
    if before and (before.isalnum() or before == "_") and (first.isalnum() or first == "_"):
        return False
    if after and (after.isalnum() or after == "_") and (last.isalnum() or last == "_"):
        return False
    # 4111-1111-1111-1111-1111 and 3.14.15 are longer than what was found in them
    if before in ("-", ".", "/") and first.isdigit() and text[max(0, start - 2) : start - 1].isdigit():
        return False
    return not (after in ("-", "/") and last.isdigit() and text[end + 1 : end + 2].isdigit())


def _words(one: Detector) -> str:
    names = "|".join(re.escape(name).replace(r"\ ", "[ _-]?") for name in (*one.names, *one.hints))
    return rf"(?i)(?:^|[^\p{{L}}0-9])(?:{names})(?:[^\p{{L}}0-9]|$)"
