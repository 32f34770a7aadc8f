"""``gender``: sexes and genders as forms name them."""

from collections.abc import Sequence

from dataward.privacy.discover.detector import Detector, Pattern

WORDS = frozenset(
    (
        "male female man woman non-binary nonbinary other diverse divers mannlich weiblich m f w d x mann frau homme femme "
        "masculin feminin masculino femenino feminino hombre mujer maschio femmina uomo donna man vrouw kvinna mezczyzna "
        "kobieta agender bigender genderqueer transgender intersex unknown u н м ж муж жен мужской женский 男 女 男性 女性 남 여 남성 여성 "
        "남자 여자 erkek kadin k e"
    ).split()
)
TELLING = frozenset(
    (
        "male female mannlich weiblich masculino femenino feminino mezczyzna kobieta non-binary мужской женский 男性 女性 남성 여성 남자 "
        "여자 maschio femmina homme femme hombre mujer erkek kadin masculin feminin kvinna vrouw"
    ).split()
)


def known(texts: Sequence[str]) -> list[bool]:
    """Return which texts are words or signs of a gender."""
    return [text.lower().strip(".") in WORDS for text in texts]


def telling(texts: Sequence[str]) -> list[bool]:
    """Return which texts are unambiguous words of a gender."""
    return [text.lower() in TELLING for text in texts]


DETECTOR = Detector(
    class_="gender",
    explains="sexes and genders",
    patterns=(
        Pattern("words for them", r"[\p{L}-]{2,12}", 4.5, telling, 0.001, 0.6),
        Pattern("letters for them", r"[\p{L}-]{1,12}", -3, known, 0.05, 0.9),
        Pattern("codes for them", r"[0-9]", -4),
    ),
    names=("gender", "sex", "geschlecht", "sexe", "sexo", "sesso", "geslacht", "kon", "plec", "gender identity"),
    named=5.5,
)  # fmt: skip
