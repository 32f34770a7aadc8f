"""Find a row's known values in its free text, at word boundaries, regardless of case, accents and forms of digits.

A text and a value are compared as words: folded (see ``privacy.discover.fold``), in lower case, without accents. A value matches
consecutive words, with at most three other characters between two of them, that have the same letters and digits together:
``123-45-67`` matches ``1234567``, ``O'Brien`` matches ``o brien``. In scripts without spaces every character is a word. Each
word of three or more letters of a person's name (class ``person_name``) is searched as well. Values of a single character, and
texts for missing values (``n/a``, ``unknown``), are not searched.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dataward.privacy.discover.detectors.person_name import FIRMS, TITLES
from dataward.privacy.discover.fold import fold
from dataward.privacy.discover.scanner import NOTHING

__all__ = ["Known", "Needle", "merged", "needles", "occurrences"]

UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
WORD = re.compile(rf"[{UNSPACED}]|[^\W_{UNSPACED}]+")
GAP = 3
"""Maximum number of characters between two words of a value."""
SHORTEST = 2
LEAST_OF_NAME = 3
PARTICLES = TITLES | FIRMS | {"van", "von", "der", "den", "del", "des", "dos", "das", "las", "los", "bin", "ibn", "the"}
"""Words of names that are common in any text."""


@dataclass(frozen=True)
class Needle:
    """A search term: its words without separators (``letters``), its class, and the column's whole value."""

    letters: str
    class_: str
    value: str


@dataclass(frozen=True)
class Known:
    """A match: start and end in characters of the original text, class, and the column's whole value."""

    start: int
    end: int
    class_: str
    value: str


class _Plain(dict[int, str]):
    """A translation table that is filled on demand."""

    def __missing__(self, code: int) -> str:
        parts = unicodedata.normalize("NFKD", fold(chr(code)).casefold())
        plain = self[code] = unicodedata.normalize("NFC", "".join(c for c in parts if not unicodedata.combining(c)))
        return plain


_TABLE = _Plain()


def _plain(text: str) -> str:
    return text.lower() if text.isascii() else text.translate(_TABLE)


def needles(values: Iterable[tuple[str, str | None]]) -> list[Needle]:
    """Return the search terms for the values of a row's columns, given as (class, value), longest first."""
    terms: dict[str, Needle] = {}
    for class_, value in values:
        if value is None or value.strip().lower() in NOTHING:
            continue
        words = WORD.findall(_plain(value))
        parts = [word for word in words if len(word) >= LEAST_OF_NAME and word not in PARTICLES]
        for letters in ("".join(words), *(parts if class_ == "person_name" else ())):
            if len(letters) >= SHORTEST:
                terms.setdefault(letters, Needle(letters, class_, value))
    return sorted(terms.values(), key=lambda needle: -len(needle.letters))


def occurrences(text: str, wanted: Sequence[Needle]) -> list[Known]:
    """Return the matches in a text in order; the longest value wins where matches overlap."""
    plain = _plain(text)
    words = list(WORD.finditer(plain))
    letters = "".join(word[0] for word in words)
    wanted = [needle for needle in wanted if needle.letters in letters]
    if not wanted:
        return []
    places = None if text.isascii() else [place for place, char in enumerate(text) for _ in _TABLE[ord(char)]]
    matches: list[Known] = []
    taken = bytearray(len(words))
    for needle in wanted:
        for first, last in _runs(words, needle.letters):
            if any(taken[first : last + 1]):
                continue
            taken[first : last + 1] = b"\1" * (last + 1 - first)
            start, end = words[first].start(), words[last].end()
            if places is not None:
                start, end = places[start], places[end - 1] + 1
            matches.append(Known(start, end, needle.class_, needle.value))
    return sorted(matches, key=lambda match: match.start)


def _runs(words: Sequence[re.Match[str]], letters: str) -> Iterator[tuple[int, int]]:
    """Yield (first, last) of consecutive words that have these letters together."""
    for first, word in enumerate(words):
        size, last = 0, first
        while letters.startswith(word[0], size):
            size += len(word[0])
            if size == len(letters):
                yield first, last
                break
            last += 1
            if last == len(words) or words[last].start() - word.end() > GAP:
                break
            word = words[last]


def merged(spans: Iterable[tuple[int, int, str, str]], known: Iterable[Known]) -> list[tuple[int, int, str, str]]:
    """Merge spans of detectors and matches of known values to disjoint (start, end, class, value).

    Overlapping ones are replaced as one, under the class of the longer, so that no part of a known value stays.
    """
    disjoint: list[tuple[int, int, str, str]] = []
    for start, end, class_, value in sorted([*spans, *((k.start, k.end, k.class_, k.value) for k in known)]):
        if not disjoint or start >= disjoint[-1][1]:
            disjoint.append((start, end, class_, value))
            continue
        before, until, class_before, value_before = disjoint[-1]
        longer = end - start > until - before
        label = (class_, value) if longer else (class_before, value_before)
        disjoint[-1] = (before, max(until, end), *label)
    return disjoint
