"""``card_expiry``: the month until which a card is good. Told by the column's name: many things are a month and a year."""

from dataward.privacy.discover.detector import Detector, Pattern

DETECTOR = Detector(
    class_="card_expiry",
    explains="months until which payment cards are good",
    patterns=(Pattern("MM/YY", r"(?:0[1-9]|1[0-2]) ?[/-] ?(?:20)?[2-5][0-9]", 0.5, inside="near"),),
    names=("expiry", "expires", "exp date", "expiration", "expiration date", "card expire", "credit card expire", "valid thru", "good thru", "ablaufdatum", "expiry date"),
)  # fmt: skip
