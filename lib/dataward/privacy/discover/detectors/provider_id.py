"""``provider_id``: numbers of doctors: America's NPI (Luhn with 80840 before it, 45 CFR 162) and DEA numbers."""

from collections.abc import Sequence

from dataward.privacy.discover.checksums import luhn
from dataward.privacy.discover.detector import Detector, Pattern


def npi(texts: Sequence[str]) -> list[bool]:
    """Return which texts pass the check of National Provider Identifiers."""
    return list(luhn([f"80840{text}" for text in texts]))


def dea(texts: Sequence[str]) -> list[bool]:
    """Check the last digit: that of digits 1, 3, 5 plus twice digits 2, 4, 6."""
    numbers = [[int(digit) for digit in text[2:]] for text in texts]
    return [(n[0] + n[2] + n[4] + 2 * (n[1] + n[3] + n[5])) % 10 == n[6] for n in numbers]


DETECTOR = Detector(
    class_="provider_id",
    explains="numbers of doctors",
    patterns=(
        Pattern("us npi", r"[12][0-9]{9}", 2.5, npi, 0.1, inside="near"),
        Pattern("us dea", r"[ABCDEFGHJKLMPRSTUX][A-Z9][0-9]{7}", 4, dea, 0.1, inside="alone"),
    ),
    names=("npi", "npi number", "provider id", "dea", "dea number", "physician id", "prescriber", "provider npi"),
)
