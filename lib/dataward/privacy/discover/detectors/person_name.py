"""``person_name``: names of people, by lists of common given and family names of some forty languages (``words/names.txt``).

The lists hold the commonest names, not all: a column is recognised by the share of its values that are in them, which in columns of
other words is small. Firms called after people are distinguished by what such firms are called.
"""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from dataward.privacy.discover.detector import Detector, Pattern

FIRMS = frozenset(
    (
        "inc llc ltd limited gmbh ag kg ohg kgaa mbh plc corp corporation company co group sons partners associates bros "
        "brothers sa sas sarl srl spa s.a s/a a.s aş şti ltda me eireli s.p.a s.r.l ab as oy bv nv b.v n.v holding holdings "
        "industries e.v ev stiftung kollegen hermanos hijos y sci eurl sp z o.o zrt kft bt ооо оао зао ип пао and und et e i & "
        "gbr coop scop insurance bank university college hospital school street road avenue"
    ).split()
)
TITLES = frozenset(
    (
        "mr mrs ms miss dr prof herr frau dipl.-ing mme mlle m sr sra srta dott dott.ssa sig sig.ra univ.prof ing mag dhr mevr "
        "pan pani md phd dds dvm jr"
    ).split()
)


@cache
def listed() -> frozenset[str]:
    """Return the listed names."""
    text = (files("dataward") / "privacy/discover/words/names.txt").read_text(encoding="utf-8")
    return frozenset(word for line in text.splitlines() if not line.startswith("#") for word in line.split())


@cache
def listed_in_han() -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Return family names of one and of two characters in scripts without spaces, and given names in these scripts."""
    far = [word for word in listed() if not word.isascii() and ord(word[0]) > 0x2E00]
    return frozenset(w for w in far if len(w) == 1), frozenset(w for w in far if len(w) == 2), frozenset(far)


def words_of(text: str) -> list[str]:
    """Split a text into lower-case words."""
    return text.lower().replace("’", "'").replace(",", " ").replace("-", " ").split()


def named(texts: Sequence[str]) -> list[bool]:
    """Return which texts hold a listed name or a title, and no word of company names."""
    known = listed()

    def valid(text: str) -> bool:
        if ord(text[0]) > 0x2E00:
            return in_han(text)
        words = [word.strip(".") for word in words_of(text)]
        if any(word in FIRMS for word in words):
            return False
        return any(word in known or plain(word) in known for word in words) or (len(words) > 1 and words[0] in TITLES)

    return [valid(text) for text in texts]


def in_han(text: str) -> bool:
    """Return whether a text is a family name and a given name without a space: two to six characters that begin with a listed name."""
    one, two, all_ = listed_in_han()
    bare = text.replace(" ", "").replace("・", "")
    if bare in all_:
        return True
    return 2 <= len(bare) <= 6 and (bare[:2] in two or (bare[0] in one and len(bare) <= 4))


@cache
def _letters() -> dict[int, str]:
    return str.maketrans({"ß": "ss", "ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "ı": "i"})


def plain(word: str) -> str:
    """Return a word without accents."""
    import unicodedata

    bare = unicodedata.normalize("NFKD", word.translate(_letters()))
    return "".join(character for character in bare if not unicodedata.combining(character))


def two_words(texts: Sequence[str]) -> list[bool]:
    """Return which texts begin with a listed name or a title."""
    known = listed()
    firsts = [words_of(text)[0].strip(".") for text in texts]
    return [first in known or plain(first) in known or first in TITLES for first in firsts]


WORD = r"[\p{L}'’.-]+"

DETECTOR = Detector(
    class_="person_name",
    explains="names of people",
    patterns=(
        Pattern("two to five words", rf"\p{{L}}{WORD}(?:,? {WORD}){{1,4}}", 3.5, named, 0.12, 0.55),
        Pattern("one word", r"\p{L}[\p{L}'’-]{0,20}", 2.0, named, 0.05, 0.45),
        Pattern("any words", r"\p{L}[\p{L}'’. -]{1,40}", -3.3),
        Pattern("in text", r"(?:(?:Mr|Mrs|Ms|Dr|Prof|Herr|Frau|Mme|Sr|Sra)\.? )?\p{Lu}[\p{Ll}'’]+(?:-\p{Lu}\p{Ll}+)? (?:\p{Lu}\. )?(?:(?:van|von|de|der|den|la|da|di|del) ){0,2}\p{Lu}[\p{Ll}'’]+(?:-\p{Lu}\p{Ll}+)?", -6, two_words, 0.05, 0.6, inside="alone"),
    ),
    names=(
        "first name", "last name", "full name", "surname", "given name", "family name", "middle name", "maiden name", "maiden", "mothers maiden", "mmn", "mother name", "mothers name", "father name", "fathers name", "birth name", "geburtsname", "fname", "lname", "nachname", "vorname", "prenom",
        "apellido", "apellidos", "cognome", "sobrenome", "customer name", "patient name", "employee name", "card holder", "naam", "achternaam",
        "voornaam", "imie", "nazwisko", "fornavn", "etternavn", "fornamn", "efternamn", "naam klant",
    ),
    hints=("name", "nom", "nome", "nombre", "person", "contact", "holder", "patient", "employee", "beneficiary"),
)  # fmt: skip
