"""Canonical spellings by class, so that ``Ada@X.org`` and ``ada@x.org `` get the same token.

The rules have version 1, which seals record; a changed rule needs a new version, because tokens would no longer join.

- ``email``: NFKC, trimmed, case-folded;
- ``person_name``, ``postal_address``: NFKC, runs of spaces replaced by one space, trimmed, case-folded;
- ``phone``: E.164, e.g. ``+4930123456``, by ``phonenumbers``;
- numbers of documents and accounts (``national_id``, ``tax_id``, ``passport``, ``iban``, ``payment_card``,
  ``driving_licence``, ``vin``, ``health_id``): NFKC, spaces, dashes, dots and slashes removed, upper case.

NFKC and case folding: Unicode Standard Annex 15 and chapter 3.13. Reversible operators never change the spelling.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["CANONICAL", "VERSION", "canonical", "phone"]

VERSION = 1
BLANKS = re.compile(r"\s+")
MARKS = re.compile(r"[\s\-\u2010-\u2015\u2212./]+")


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _email(text: str) -> str | None:
    return _folded(text).strip()


def _words(text: str) -> str | None:
    return BLANKS.sub(" ", _folded(text)).strip()


def _number(text: str) -> str | None:
    return MARKS.sub("", unicodedata.normalize("NFKC", text)).upper()


CANONICAL: dict[str, Callable[[str], str | None]] = {
    "email": _email,
    "person_name": _words,
    "postal_address": _words,
    **dict.fromkeys(
        ("national_id", "tax_id", "passport", "iban", "payment_card", "driving_licence", "vin", "health_id"), _number
    ),
}


def canonical(values: pa.Array, class_: str, region: str | None) -> tuple[pa.Array, Any]:
    """Return texts in the canonical spelling of their class.

    Args:
        values: string array.
        class_: the column's class.
        region: country code of phone numbers without one, e.g. DE; None: such numbers are invalid.

    Returns:
        The canonical texts, and a boolean array of the values without a canonical spelling (None: every value has one).
    """
    import numpy as np
    import pyarrow as pa

    spell = phone(region) if class_ == "phone" else CANONICAL[class_]
    spellings = [None if text is None else spell(text) for text in values.to_pylist()]
    result = pa.array(spellings, pa.string())
    bad = np.asarray(result.is_null()) & np.asarray(values.is_valid())
    return result, bad if bad.any() else None


def phone(region: str | None) -> Callable[[str], str | None]:
    """Return a function from a phone number to its E.164 form, or to None where it is not a possible number."""
    import phonenumbers

    def spell(text: str) -> str | None:
        try:
            number = phonenumbers.parse(unicodedata.normalize("NFKC", text), region)
        except phonenumbers.NumberParseException:
            return None
        if not phonenumbers.is_possible_number(number):
            return None
        return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))

    return spell
