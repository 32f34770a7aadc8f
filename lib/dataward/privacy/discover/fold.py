"""Fold text for detectors: one form of digits, dashes and spaces, so that fullwidth and Arabic digits are recognised.

Per character: NFKC (Unicode Standard Annex 15), decimal digits of every script as 0 to 9, every dash as ``-``, every space
as a blank; combining marks and invisible characters (zero width, soft hyphens, direction) are removed.
"""

from __future__ import annotations

import unicodedata

__all__ = ["fold", "fold_with_places"]

DASHES = frozenset("\u2212\u2043\u02d7\u2796")
UNSEEN = frozenset("\u115f\u1160\u3164\uffa0\u2800")


class _Folding(dict[int, str]):
    """A translation table that is filled on demand."""

    def __missing__(self, code: int) -> str:
        folded = self[code] = _folded(chr(code))
        return folded


def _folded(character: str) -> str:
    """Return the folded form of a character."""
    category = unicodedata.category(character)
    if category == "Cs":  # half a surrogate pair is no text
        return "\ufffd"
    if category in ("Cf", "Mn", "Me") or character in UNSEEN:
        return ""
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category == "Pd" or character in DASHES:
        return "-"
    if category == "Zs":
        return " "
    plain = unicodedata.normalize("NFKC", character)
    return plain if plain == character or len(plain) > 4 else "".join(_folded(inner) for inner in plain)


_TABLE = _Folding()


def fold(text: str) -> str:
    """Return the folded text."""
    return text if text.isascii() else text.translate(_TABLE)


def fold_with_places(text: str) -> tuple[str, list[int] | None]:
    """Return the folded text, and the index in the original text of each of its characters and of its end.

    The list is None where no index changes.
    """
    if text.isascii():
        return text, None
    parts = [_TABLE[ord(character)] for character in text]
    places = [place for place, part in enumerate(parts) for _ in part]
    return "".join(parts), [*places, len(text)]
