"""``national_id``: numbers that a state gives its people, of 46 countries; most hold a checksum (python-stdnum, and the sources it names)."""

import re
from collections.abc import Sequence
from typing import Any

from dataward.privacy.discover.checksums import Stdnum
from dataward.privacy.discover.detector import Detector, Pattern

TAIWAN = (10, 11, 12, 13, 14, 15, 16, 17, 34, 18, 19, 20, 21, 22, 35, 23, 24, 25, 26, 27, 28, 29, 32, 30, 31, 33)
DAY = "(?:0[1-9]|[12][0-9]|3[01])"
MONTH = "(?:0[1-9]|1[0-2])"


def singapore(texts: Sequence[str]) -> list[bool]:
    """Check NRIC and FIN: weights 2, 7, 6, 5, 4, 3, 2, and 4 more from the year 2000 on."""

    def valid(text: str) -> bool:
        total = sum(int(d) * w for d, w in zip(text[1:8], (2, 7, 6, 5, 4, 3, 2), strict=True)) + 4 * (text[0] in "TG")
        return ("JZIHGFEDCBA" if text[0] in "ST" else "XWUTRQPNMLK")[total % 11] == text[8]

    return [valid(text) for text in texts]


def taiwan(texts: Sequence[str]) -> list[bool]:
    """Return which texts pass the check of Taiwanese identity numbers."""

    def valid(text: str) -> bool:
        letter = TAIWAN[ord(text[0]) - 65]
        digits = [letter // 10, letter % 10, *map(int, text[1:])]
        return sum(d * w for d, w in zip(digits, (1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1), strict=True)) % 10 == 0

    return [valid(text) for text in texts]


def american(texts: Sequence[str]) -> list[bool]:
    """Check SSNs: areas 000, 666 and 900 on, group 00 and serial 0000 were never assigned (SSA)."""
    bare = [re.sub("[^0-9]", "", text) for text in texts]
    return [
        b[:3] not in ("000", "666") and b[0] != "9" and b[3:5] != "00" and b[5:] != "0000" and len(set(b)) > 1
        for b in bare
    ]


def of(country: str, module: str, regex: str, chance: float, odds: float = 5, **more: Any) -> Pattern:
    """Return a pattern with the check of a module of python-stdnum."""
    return Pattern(country, regex, odds, Stdnum(module), chance, **{"expected": 0.98, "inside": "near", **more})


DETECTOR = Detector(
    class_="national_id",
    explains="numbers that states give their people",
    patterns=(
        Pattern("us", r"[0-9]{3}-[0-9]{2}-[0-9]{4}|[0-9]{3} [0-9]{2} [0-9]{4}", 4.5, american, 0.85, inside="alone"),
        Pattern("us, bare", r"[0-9]{9}", -3, american, 0.85, inside="near"),
        Pattern("gb", r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]", 5, inside="alone"),
        Pattern("sg", r"[STFG][0-9]{7}[A-Z]", 6, singapore, 0.04, inside="alone"),
        Pattern("tw", r"[A-Z][1289][0-9]{8}", 5, taiwan, 0.1, inside="alone"),
        of("at", "at.vnr", r"[0-9]{4} ?[0-9]{6}", 0.088),
        of("be", "be.nn", r"[0-9]{2}\.?[0-9]{2}\.?[0-9]{2}[- ]?[0-9]{3}[. ]?[0-9]{2}", 0.005),
        of("bg", "bg.egn", r"[0-9]{10}", 0.01),
        of("br", "br.cpf", r"[0-9]{3}\.?[0-9]{3}\.?[0-9]{3}-?[0-9]{2}", 0.01, inside="alone"),
        of("ca", "ca.sin", r"[0-9]{3}[- ]?[0-9]{3}[- ]?[0-9]{3}", 0.1, 2),
        of("ch", "ch.ssn", r"756\.?[0-9]{4}\.?[0-9]{4}\.?[0-9]{2}", 0.1, inside="alone"),
        of("cl", "cl.rut", r"[0-9]{1,2}\.?[0-9]{3}\.?[0-9]{3}-?[0-9Kk]", 0.09, 4),
        of("cn", "cn.ric", r"[1-9][0-9]{16}[0-9Xx]", 0.001, 7, inside="alone"),
        of("cz, sk", "cz.rc", r"[0-9]{6}/?[0-9]{3,4}", 0.085),
        of("dk", "dk.cpr", r"[0-9]{6}-?[0-9]{4}", 0.03, 3.5, expected=0.95),
        of("do", "do.cedula", r"[0-9]{3}-?[0-9]{7}-?[0-9]", 0.1, 3.5),
        of("ec", "ec.ci", r"[0-2][0-9]{9}", 0.06, 3),
        of("ee, lt", "ee.ik", r"[1-6][0-9]{10}", 0.004),
        of("es, dni", "es.dni", r"[0-9]{8}[- ]?[A-Z]", 0.045, 6, inside="alone"),
        of("es, nie", "es.nie", r"[XYZ]-?[0-9]{7}-?[A-Z]", 0.045, 6, inside="alone"),
        of("fi", "fi.hetu", r"[0-9]{6}[-+A-FYXWVU][0-9]{3}[0-9A-FHJ-NPR-Y]", 0.001, 7, inside="alone"),
        of("fr", "fr.nir", r"[1-478] ?[0-9]{2} ?[0-9]{2} ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}", 0.011, 6, inside="alone"),
        of("gr", "gr.amka", r"[0-3][0-9]{10}", 0.01),
        of("hr", "hr.oib", r"[0-9]{11}", 0.1, 3),
        of("id", "id.nik", r"[0-9]{16}", 0.034, 5),
        of("ie", "ie.pps", r"[0-9]{7}[A-W][A-IWTX]?", 0.045, 5, inside="alone"),
        of("il", "il.idnr", r"[0-9]{9}", 0.1, 2),
        of("in", "in_.aadhaar", r"[2-9][0-9]{3}[ -]?[0-9]{4}[ -]?[0-9]{4}", 0.1, 4),
        of("is", "is_.kennitala", r"[0-9]{6}-?[0-9]{4}", 0.003),
        of("it", "it.codicefiscale", r"[A-Z]{6}[0-9LMNPQRSTUV]{2}[A-EHLMPR-T][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]", 0.03, 8, inside="alone"),
        of("jp", "jp.in_", r"[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}", 0.1, 3.5),
        of("kr", "kr.rrn", r"[0-9]{6}-?[0-9]{7}", 0.01, 6, inside="alone"),
        of("lv", "lv.pvn", r"[0-9]{6}-?[0-9]{5}", 0.05, 3),
        of("mx", "mx.curp", r"[A-Z]{4}[0-9]{6}[HMX][A-Z]{5}[0-9A-Z][0-9]", 0.003, 8, inside="alone"),
        of("my", "my.nric", r"[0-9]{6}-[0-9]{2}-[0-9]{4}", 0.034, 5, inside="alone"),
        of("nl", "nl.bsn", r"[0-9]{9}", 0.09, 2),
        of("no", "no.fodselsnummer", r"[0-9]{6} ?[0-9]{5}", 0.001),
        Pattern("pk", r"[1-7][0-9]{4}-[0-9]{7}-[0-9]", 5, inside="alone"),
        of("pl", "pl.pesel", r"[0-9]{11}", 0.019),
        of("pt", "pt.cc", r"[0-9]{8} ?[0-9] ?[A-Z0-9]{2}[0-9]", 0.1, 4),
        of("ro", "ro.cnp", r"[1-9][0-9]{12}", 0.003),
        of("se", "se.personnummer", r"(?:[0-9]{2})?[0-9]{6}[-+]?[0-9]{4}", 0.01),
        Pattern("se, by its date", r"(?:19|20)?[0-9]{2}" + MONTH + DAY + r"[-+][0-9]{4}", 4, inside="near"),
        of("si, yu", "si.emso", r"[0-9]{13}", 0.01),
        of("th", "th.pin", r"[1-8]-?[0-9]{4}-?[0-9]{5}-?[0-9]{2}-?[0-9]", 0.1, 4),
        of("tr", "tr.tckimlik", r"[1-9][0-9]{10}", 0.01),
        of("ua", "ua.rntrc", r"[0-9]{10}", 0.1, 2),
        of("za", "za.idnr", r"[0-9]{13}", 0.005),
        Pattern("digits", r"[0-9]{6,14}", -3.2),
        Pattern("electoral roll", r"[A-Z]{2,3}[0-9]{1,4}", -3.5),
    ),
    names=(
        "ssn", "electoral roll", "electoral roll number", "social security", "social security number", "national id", "national identity", "nino", "national insurance", "soc sec id", "identity number",
        "personal number", "personnummer", "personnr", "cpf", "dni", "nie", "nif", "nir", "bsn", "pesel", "codice fiscale", "rut", "curp", "aadhaar", "id number", "id card",
        "citizen id", "nric", "cnp", "egn", "oib", "hetu", "henkilotunnus", "rodne cislo", "tc kimlik", "kimlik", "amka", "ahv", "insee", "numero securite sociale",
        "sozialversicherungsnummer", "svnr", "fodselsnummer", "cpr", "sin", "my number", "resident id", "emso", "kennitala", "pps", "ssn number",
    ),
)  # fmt: skip
