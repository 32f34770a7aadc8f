"""A row's own known values inside of its free text: on the boundaries of words, whatever the case, accents and kinds of digits.

A text and a value are compared as words: folded as detectors fold (see ``privacy.discover.fold``), in lower case, without
accents. A value is found where words that follow each other, with at most three other characters between two of them, come
to the same letters and digits: ``123-45-67`` is ``1234567``, ``O'Brien`` is ``o brien``. In scripts without spaces every
character counts as a word. Of a person's name (class ``person_name``) each word of three letters or more is looked for too.
Values of a single character, and texts that stand for a missing value (``n/a``, ``unknown``), are not looked for.
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
"""Characters at most between two words of one value."""
SHORTEST = 2
LEAST_OF_NAME = 3
PARTICLES = TITLES | FIRMS | {"van", "von", "der", "den", "del", "des", "dos", "das", "las", "los", "bin", "ibn", "the"}
"""Words of names that are words of any text."""


@dataclass(frozen=True)
class Needle:
    """What is looked for (``letters``: words without what stands between), and the column's value that it tells."""

    letters: str
    class_: str
    value: str


@dataclass(frozen=True)
class Known:
    """Where a text tells a value, in characters of the text as it was given."""

    start: int
    end: int
    class_: str
    value: str


class _Plain(dict[int, str]):
    """A translation table that is filled as characters come by."""

    def __missing__(self, code: int) -> str:
        parts = unicodedata.normalize("NFKD", fold(chr(code)).casefold())
        made = self[code] = unicodedata.normalize("NFC", "".join(c for c in parts if not unicodedata.combining(c)))
        return made


_TABLE = _Plain()


def _plain(text: str) -> str:
    return text.lower() if text.isascii() else text.translate(_TABLE)


def needles(values: Iterable[tuple[str, str | None]]) -> list[Needle]:
    """What to look for in the text of a row whose columns hold values, each with the class it is replaced as."""
    found: dict[str, Needle] = {}
    for class_, value in values:
        if value is None or value.strip().lower() in NOTHING:
            continue
        words = WORD.findall(_plain(value))
        parts = [word for word in words if len(word) >= LEAST_OF_NAME and word not in PARTICLES]
        for letters in ("".join(words), *(parts if class_ == "person_name" else ())):
            if len(letters) >= SHORTEST:
                found.setdefault(letters, Needle(letters, class_, value))
    return sorted(found.values(), key=lambda needle: -len(needle.letters))


def occurrences(text: str, wanted: Sequence[Needle]) -> list[Known]:
    """Every place at which a text tells a value, in order; of places that overlap the longest value's stays."""
    plain = _plain(text)
    words = list(WORD.finditer(plain))
    letters = "".join(word[0] for word in words)
    wanted = [needle for needle in wanted if needle.letters in letters]
    if not wanted:
        return []
    places = None if text.isascii() else [place for place, char in enumerate(text) for _ in _TABLE[ord(char)]]
    found: list[Known] = []
    taken = bytearray(len(words))
    for needle in wanted:
        for first, last in _runs(words, needle.letters):
            if any(taken[first : last + 1]):
                continue
            taken[first : last + 1] = b"\1" * (last + 1 - first)
            start, end = words[first].start(), words[last].end()
            if places is not None:
                start, end = places[start], places[end - 1] + 1
            found.append(Known(start, end, needle.class_, needle.value))
    return sorted(found, key=lambda one: one.start)


def _runs(words: Sequence[re.Match[str]], letters: str) -> Iterator[tuple[int, int]]:
    """(first, last) of words that follow each other closely and come to some letters."""
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
    """(start, end, class, value) of what is replaced: spans of detectors that overlap nothing known, and what is known.

    Where the two overlap both are replaced as one, by the name of the longer: nothing of a known value stays.
    """
    made: list[tuple[int, int, str, str]] = []
    for start, end, class_, value in sorted([*spans, *((k.start, k.end, k.class_, k.value) for k in known)]):
        if not made or start >= made[-1][1]:
            made.append((start, end, class_, value))
            continue
        before, until, class_before, value_before = made[-1]
        longer = end - start > until - before
        told = (class_, value) if longer else (class_before, value_before)
        made[-1] = (before, max(until, end), *told)
    return made
