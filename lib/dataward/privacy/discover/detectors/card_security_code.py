"""``card_security_code``: the three or four digits beside a card's number. Told by the column's name alone."""

from dataward.privacy.discover.detector import Detector, Pattern

DETECTOR = Detector(
    class_="card_security_code",
    explains="security codes of payment cards",
    patterns=(Pattern("3 or 4 digits", r"[0-9]{3,4}", -3.5, inside="near"),),
    names=(
        "cvv",
        "cvc",
        "cvv2",
        "cvc2",
        "csc",
        "card security code",
        "security code",
        "card verification",
        "cid",
        "prufziffer",
    ),
    named=6.5,
)
