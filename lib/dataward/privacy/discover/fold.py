"""Text as detectors read it: one kind of digit, dash and space, so that fullwidth and Arabic digits are seen for what they are.

Per character: NFKC (Unicode Standard Annex 15), decimal digits of every script as 0 to 9, every dash as ``-``, every space
as a blank; marks that join, and characters that nobody sees (zero width, soft hyphens, direction), are left out.
"""

from __future__ import annotations

import unicodedata

__all__ = ["fold", "fold_with_places"]

DASHES = frozenset("\u2212\u2043\u02d7\u2796")
UNSEEN = frozenset("\u115f\u1160\u3164\uffa0\u2800")


class _Folding(dict[int, str]):
    """A translation table that is filled as characters come by."""

    def __missing__(self, code: int) -> str:
        made = self[code] = _folded(chr(code))
        return made


def _folded(character: str) -> str:
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
    return text if text.isascii() else text.translate(_TABLE)


def fold_with_places(text: str) -> tuple[str, list[int] | None]:
    """The folded text, and for each of its characters (and its end) where in the given text it begins.

    None in place of the list: every character stands where it stood.
    """
    if text.isascii():
        return text, None
    parts = [_TABLE[ord(character)] for character in text]
    places = [place for place, part in enumerate(parts) for _ in part]
    return "".join(parts), [*places, len(text)]
