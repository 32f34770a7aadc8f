"""``birth_date``: days of birth, recognised by the column's name and by dates that are one to eleven decades ago."""

import re
from collections.abc import Sequence
from datetime import date

from dataward.privacy.discover.detector import Detector, Pattern

YEAR = "(?:19|20)[0-9]{2}"
MONTH = "(?:0?[1-9]|1[0-2])"
DAY = "(?:0?[1-9]|[12][0-9]|3[01])"
WORD = r"\p{L}{3,10}\.?"
_YEAR = re.compile(r"(?:^|[^0-9])((?:19|20)[0-9]{2})(?=$|[^0-9])|^((?:19|20)[0-9]{2})[0-9]{4}$")


def long_ago(texts: Sequence[str]) -> list[bool]:
    """Return which dates are 10 to 110 years back: few recent events are, nearly all dates of birth are."""
    now = date.today().year
    found = [_YEAR.search(text) for text in texts]
    years = [int(match.group(1) or match.group(2)) if match else now for match in found]
    return [10 <= now - year <= 110 for year in years]


DETECTOR = Detector(
    class_="birth_date",
    explains="days of birth",
    patterns=(
        Pattern("year first", rf"{YEAR}[-/.]{MONTH}[-/.]{DAY}(?:[T ]00:00(?::00(?:\.0+)?)?Z?)?|{YEAR}年{MONTH}月{DAY}日", -0.3, long_ago, 0.3, 0.85, inside="near"),
        Pattern("year last", rf"{DAY}[-/.]{MONTH}[-/.]{YEAR}|{MONTH}[-/.]{DAY}[-/.]{YEAR}", -0.3, long_ago, 0.3, 0.85, inside="near"),
        Pattern("in words", rf"{DAY}\.? {WORD},? {YEAR}|{WORD} {DAY},? {YEAR}|{DAY}-{WORD}-{YEAR}", -0.3, long_ago, 0.3, 0.85, inside="near"),
        Pattern("eight digits", rf"{YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])", -0.5, long_ago, 0.3, 0.85, inside="near"),
        Pattern("any date", rf"{YEAR}[-/.]?{MONTH}[-/.]?{DAY}|{DAY}[-/. ]?(?:{MONTH}|{WORD})[-/. ]?(?:{YEAR}|[0-9]{{2}})", -3, inside="", dates=True),
    ),
    names=(
        "birth date", "date of birth", "birthdate", "birthday", "dob", "geburtsdatum", "geboren", "date de naissance",
        "fecha de nacimiento", "nascita", "data di nascita", "data de nascimento", "geboortedatum", "fodelsedatum", "data urodzenia", "birth dt",
    ),
    hints=("birth", "born"),
    named=6,
)  # fmt: skip
