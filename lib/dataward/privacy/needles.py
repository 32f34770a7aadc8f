"""Forms of a value in the bytes of a file, and the search for them."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from dataward.contract.reserved import SHADOW

__all__ = ["SHORTEST", "Needle", "Wanted", "at_home", "erased", "forms", "holds", "spans", "stands", "words"]

SHORTEST = 5
"""Characters of the shortest value that is searched inside of longer text; shorter ones only as whole cells of tables."""

SPACED = 0x0E00
"""Scripts below this code point separate words; in others (Thai, Chinese, Japanese) a word has no bounds to check."""

ESCAPED = re.compile(rb"(\\[nrtbf]|\\u[0-9a-fA-F]{4}|%[0-9a-fA-F]{2})$")
"""Escapes in JSON and URLs that end in a letter or digit and represent another character."""


@dataclass(frozen=True)
class Needle:
    """A value to search for.

    Attributes:
        named: its name in reports: the column, and whether it is raw or protected.
        value: the value.
        home: column or path where it was found; empty: it is searched everywhere.
    """

    named: str
    value: str
    home: str = ""

    def __repr__(self) -> str:
        """Return a text without the value."""
        return f"Needle({self.named!r})"


@dataclass(frozen=True)
class Wanted:
    """A needle with its forms, computed once."""

    named: str
    value: str
    words: tuple[bytes, ...]
    coded: tuple[bytes, ...]

    @classmethod
    def of(cls, needle: Needle) -> Wanted:
        """Compute the forms of a needle."""
        return cls(needle.named, needle.value, tuple(sorted(words(needle.value))), tuple(sorted(coded(needle.value))))

    @property
    def column(self) -> str:
        """Column or path that the value is of."""
        return at_home(self.named.rpartition(" (")[0])

    def anywhere(self, data: bytes) -> bool:
        """Return whether any form is in data, also inside of a longer word."""
        return any(shape in data for shape in (*self.words, *self.coded))

    def within(self, data: bytes) -> bool:
        """Return whether any form is in data as a word of its own."""
        return any(stands(data, shape) for shape in self.words) or any(shape in data for shape in self.coded)


def forms(value: str) -> set[bytes]:
    """Return a value as UTF-8, in JSON (with and without escapes), in HTML, in a path or URL, and in base64."""
    return words(value) | coded(value)


def words(value: str) -> set[bytes]:
    """Return the forms that adjacent letters or digits would turn into another value."""
    nested = json.dumps(json.dumps(value)[1:-1])[1:-1]  # JSON inside of JSON: Delta's statistics
    made = {
        value.encode(),
        json.dumps(value)[1:-1].encode(),
        nested.encode(),
        json.dumps(value, ensure_ascii=False)[1:-1].encode(),
    }
    return made | {html.escape(value).encode(), quote(value).encode(), quote(value, safe="").encode()}


def coded(value: str) -> set[bytes]:
    """Return a value in base64 at each of the three offsets in a longer text, without characters that depend on its neighbours."""
    plain = value.encode()
    return {_base64(plain, shift) for shift in range(3)} if len(plain) >= 9 else set()


def _base64(value: bytes, shift: int) -> bytes:
    coded = base64.b64encode(b"\0" * shift + value)
    begin = -(-shift * 8 // 6)
    end = (shift + len(value)) * 8 // 6
    return coded[begin:end]


def spans(data: bytes, shape: bytes) -> Iterator[int]:
    """Yield the offsets of a shape in data as a word of its own: no letter or digit is adjacent."""
    place = data.find(shape)
    while place >= 0:
        end = place + len(shape)
        if not (_letter(_first(shape)) and _goes_on_before(data, place)) and not (
            _letter(_last(shape)) and _letter(_first(data[end : end + 4]))
        ):
            yield place
        place = data.find(shape, place + 1)


def stands(data: bytes, shape: bytes) -> bool:
    """Return whether a shape is in data as a word of its own."""
    return next(spans(data, shape), None) is not None


def erased(data: bytes, value: str) -> bytes:
    """Replace a value by ``[erased]`` wherever it is a word of its own."""
    for shape in sorted(words(value), key=len, reverse=True):
        parts, last = [], 0
        for place in spans(data, shape):
            if place >= last:
                parts += [data[last:place], b"[erased]"]
                last = place + len(shape)
        data = b"".join([*parts, data[last:]])
    for shape in sorted(coded(value), key=len, reverse=True):
        data = data.replace(shape, b"[erased]")
    return data


def holds(data: bytes, value: str) -> bool:
    """Return whether a value is in data in any of its forms."""
    return any(stands(data, shape) for shape in words(value)) or any(shape in data for shape in coded(value))


def _goes_on_before(data: bytes, place: int) -> bool:
    return _letter(_last(data[max(0, place - 4) : place])) and ESCAPED.search(data[max(0, place - 6) : place]) is None


def _first(data: bytes) -> str:
    """Return the first character of bytes; empty where they are no UTF-8."""
    for size in range(1, min(4, len(data)) + 1):
        try:
            return data[:size].decode()
        except UnicodeDecodeError:
            continue
    return ""


def _last(data: bytes) -> str:
    for size in range(1, min(4, len(data)) + 1):
        try:
            return data[-size:].decode()
        except UnicodeDecodeError:
            continue
    return ""


def _letter(character: str) -> bool:
    return character.isalnum() and ord(character) < SPACED


def at_home(path: str) -> str:
    """Return the name of a path in needles: one name for both columns of a rotation's window, and for all parts of a document."""
    head, dot, rest = path.partition(": ")[0].partition(".")
    shadowed = SHADOW.fullmatch(head)
    return f"{shadowed.group(1) if shadowed else head}{dot}{rest}".lower()
