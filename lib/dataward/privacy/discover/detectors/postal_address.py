"""``postal_address``: streets with numbers, by the words for street of some twenty languages (``words/streets.txt``)."""

import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from dataward.privacy.discover.detector import Detector, Pattern


@cache
def _street() -> Any:
    text = (files("dataward") / "privacy/discover/words/streets.txt").read_text(encoding="utf-8")
    kinds: dict[str, list[str]] = {"word": [], "ending": [], "part": []}
    for line in text.splitlines():
        kind, _, words = line.partition(": ")
        if kind in kinds:
            kinds[kind] += [re.escape(word) for word in words.split()]
    word, ending, part = ("|".join(kinds[kind]) for kind in ("word", "ending", "part"))
    return re.compile(rf"(?:^|[\s,./])(?:{word})(?:[\s,.]|$)|\w(?:{ending})(?:[\s,.]|$)|[\w ](?:{part})", re.IGNORECASE)


def in_streets(texts: Sequence[str]) -> list[bool]:
    """Return which texts hold a word for a street or a post-office box, and a number."""
    street = _street()
    return [len(text) <= 160 and any(c.isdigit() for c in text) and street.search(text) is not None for text in texts]


def streets(texts: Sequence[str]) -> list[bool]:
    """Return which texts contain a street."""
    street = _street()
    return [street.search(text) is not None for text in texts]


DETECTOR = Detector(
    class_="postal_address",
    explains="streets with numbers",
    patterns=(
        Pattern("words and a number", r"(?s)[\p{L}0-9#'’„\"(][^<>{}=@|]+", 4.5, in_streets, 0.02, 0.55),
        Pattern("words", r"\p{L}[\p{L}0-9 '’./-]{3,60}", 2.0, streets, 0.02, 0.6),
        Pattern("in text", r"[0-9]{1,5} (?:\p{Lu}[\p{L}'.]+ ){1,3}(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Way|Place|Pl|Square|Terrace|Highway|Parkway)\b\.?(?: (?:Apt|Suite|Unit)\.? [0-9A-Z]+)?", 4.5, inside="alone"),
        Pattern("in text, number last", r"(?:\p{Lu}[\p{L}-]*(?:straße|strasse|str\.|weg|gasse|platz|allee|straat|laan|gatan|vägen|gade|vej)|(?:[Rr]ue|[Aa]venue|[Cc]alle|[Vv]ia|[Pp]iazza|[Rr]ua|[Uu]l\.) (?:d[eu] |d'|della |la )?\p{Lu}[\p{L}'-]+),? [0-9]{1,4}[a-z]?", 4.5, inside="alone"),
    ),
    names=(
        "address", "street", "street address", "addr", "address line", "home address", "mailing address", "billing address", "shipping address", "strasse", "anschrift", "adresse",
        "direccion", "domicilio", "indirizzo", "via", "endereco", "rue", "adres", "ulica", "residence", "straat", "adress",
    ),
    named=3.5,
)  # fmt: skip
