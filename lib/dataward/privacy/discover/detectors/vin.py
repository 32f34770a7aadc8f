"""``vin``: numbers of vehicles (ISO 3779): 17 characters, of which North America's hold a check digit (49 CFR 565)."""

from collections.abc import Sequence

from dataward.privacy.discover.detector import Detector, Pattern

VALUES = dict(
    zip("ABCDEFGHJKLMNPRSTUVWXYZ0123456789", [*range(1, 9), *range(1, 6), 7, 9, *range(2, 10), *range(10)], strict=True)
)
WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)


def checked(texts: Sequence[str]) -> list[bool]:
    """Return which texts pass the check digit and are not digits only."""
    sums = [sum(VALUES[c] * w for c, w in zip(text.upper(), WEIGHTS, strict=True)) % 11 for text in texts]
    # 17 digits are some other number: of those one in eleven would pass.
    return [
        "0123456789X"[rest] == text[8].upper() and not text.isdigit() for rest, text in zip(sums, texts, strict=True)
    ]


SHAPE = r"(?i)[A-HJ-NPR-Z0-9]{17}"

DETECTOR = Detector(
    class_="vin",
    explains="numbers of vehicles",
    patterns=(
        Pattern("check digit", SHAPE, 6, checked, 0.06, inside="alone"),
        Pattern("17 characters", r"(?i)[A-HJ-NPR-Z0-9]{11}[A-HJ-NPR-Z0-9]{2}[0-9]{4}", -2.5, inside="near"),
    ),
    names=(
        "vin",
        "vin number",
        "vehicle identification",
        "chassis",
        "chassis number",
        "fahrgestellnummer",
        "vehicle id",
    ),
)
