"""``religion``: beliefs, which the GDPR's article 9 names among the special categories."""

from collections.abc import Sequence

from dataward.privacy.discover.detector import Detector, Pattern

WORDS = frozenset(
    (
        "christian christianity catholic protestant orthodox muslim islam sunni shia jewish judaism hindu hinduism buddhist "
        "buddhism sikh sikhism jain baha'i atheist atheism agnostic lutheran evangelical anglican methodist baptist mormon "
        "pentecostal katholisch evangelisch muslimisch judisch konfessionslos catholique musulman protestante catolico "
        "cattolico taoist shinto quaker"
    ).split()
)


def known(texts: Sequence[str]) -> list[bool]:
    """Return which texts are words of a religion."""
    return [any(word in WORDS for word in text.lower().split()) for text in texts]


DETECTOR = Detector(
    class_="religion",
    explains="beliefs",
    patterns=(
        Pattern("words for them", r"[\p{L}' ()-]{4,30}", 5, known, 0.005, 0.6),
        Pattern("any word", r"[\p{L}' ()-]{1,30}", -4),
    ),
    names=("religion", "faith", "denomination", "konfession", "religious affiliation", "religione", "belief"),
    named=6.5,
)
