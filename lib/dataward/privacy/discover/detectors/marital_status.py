"""``marital_status``: whether somebody is married."""

from collections.abc import Sequence

from dataward.privacy.discover.detector import Detector, Pattern

WORDS = frozenset(
    (
        "married divorced widowed separated widow widower unmarried never-married single verheiratet ledig geschieden verwitwet "
        "marie mariee celibataire divorce divorcee veuf veuve casado casada soltero soltera divorciado viudo viuda sposato "
        "sposata celibe nubile gehuwd"
    ).split()
)


def known(texts: Sequence[str]) -> list[bool]:
    """Return which texts contain a word of a marital status."""
    return [any(word in WORDS for word in text.lower().replace("-", " ").split()) for text in texts]


DETECTOR = Detector(
    class_="marital_status",
    explains="whether somebody is married",
    patterns=(
        Pattern("words for it", r"[\p{L} -]{4,30}", 5, known, 0.003, 0.7),
        Pattern("any word", r"[\p{L} -]{1,30}", -4),
    ),
    names=("marital status", "marital", "civil status", "familienstand", "estado civil", "stato civile", "etat civil", "relationship status"),
    named=6.5,
)  # fmt: skip
