"""What a column's name says: the words of classes, on the boundaries of words, the longest phrase first."""

from __future__ import annotations

import re
from collections.abc import Iterable

from dataward.privacy.discover.detector import Detector
from dataward.privacy.discover.detectors.person_name import plain
from dataward.privacy.discover.fold import fold

__all__ = ["other_thing", "told_by_name", "words_of_name"]

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|[0-9]+")

ABOUT = frozenset(
    (
        "count counts counter type types kind status state flag is has sent model verified version format length len size index "
        "sum avg opened clicked score rate ratio enabled valid category level quality policy template subject domain provider "
        "brand issuer attempts retries bounced unsubscribed country code"
    ).split()
)
"""A column so called is about the thing, not the thing: email_count, phone_model, is_email_valid."""

TIMES = frozenset(
    "at on time times timestamp ts date changed updated created since until duration seconds secs sec ms millis minutes hours days".split()
)
"""A column whose name ends so holds a time or how long something took, not the thing: password_changed_at, session_seconds."""

NOT_PEOPLE = frozenset(
    (
        "product company file event city country table class domain host brand item department dept store street bank project "
        "server app application device model course group team org organisation organization category package service role "
        "region airport airline plane column field job branch campaign channel plan report schema script station stage task "
        "test theme topic vendor supplier warehouse website county province"
    ).split()
)
"""Before ``name``: what is so named is no person."""

OTHERS = frozenset(
    (
        "order invoice sku product item tracking transaction txn batch error build commit release sequence seq checksum hash "
        "digest etag version firmware part serial article isbn ean upc gtin barcode quantity qty amount price total balance "
        "timestamp epoch counter offset parcel shipment request trace span correlation revision commit git event log "
        "session_count row line page docket lot city town company employer vendor job title position description comment "
        "comments category tag link website"
    ).split()
)
"""Words of columns that hold the numbers and codes of things."""


def words_of_name(path: str) -> list[str]:
    """Return the words of a column's name, lower case and without accents: ``customerEMail_2`` is customer, e, mail, 2."""
    return [plain(word.lower()) for word in _WORDS.findall(fold(path))]


def told_by_name(path: str, detectors: Iterable[Detector]) -> dict[str, str]:
    """Return by class the phrase of the name that indicates it."""
    detectors = tuple(detectors)
    words = words_of_name(path)
    timed = {one.class_ for one in detectors if not one.of_dates} if words and words[-1] in TIMES else set()
    found: list[tuple[int, int, str, str]] = []
    for one in detectors:
        for phrase in one.phrases:
            told_as = " ".join(phrase)
            found += [(start, end, one.class_, told_as) for start, end in _places(words, phrase)]
    classes: dict[str, str] = {}
    for start, end, class_, said in sorted(found, key=lambda f: f[0] - f[1]):
        covered = any(s <= start and end <= e and e - s > end - start for s, e, _, _ in found)
        about = any(word in ABOUT for word in words[end:]) or any(
            word in ("is", "has", "num") for word in words[:start]
        )
        unlike = (
            class_ == "person_name"
            and said in ("name", "nom", "nome", "nombre")
            and any(w in NOT_PEOPLE for w in words)
        )
        late = class_ in timed and end < len(words)
        if not (covered or about or unlike or late):
            classes.setdefault(class_, said)
    return classes


def other_thing(path: str) -> bool:
    """Return whether the name indicates a number or a code of a thing."""
    return any(word in OTHERS for word in words_of_name(path))


def _places(words: list[str], phrase: tuple[str, ...]) -> Iterable[tuple[int, int]]:
    """Yield the spans of a phrase: its words in order, or written as one word."""
    size, joined = len(phrase), "".join(phrase)
    for start in range(len(words)):
        if tuple(words[start : start + size]) == phrase:
            yield start, start + size
        elif size > 1 and words[start] == joined:
            yield start, start + 1
