"""``imei``: identities of mobile devices (3GPP TS 23.003): 15 digits, the last of which is Luhn's."""

from dataward.privacy.discover.checksums import luhn
from dataward.privacy.discover.detector import Detector, Pattern

DETECTOR = Detector(
    class_="imei",
    explains="identities of mobile devices",
    patterns=(
        Pattern("15 digits", r"[0-9]{15}", 2.5, luhn, 0.1, inside="near"),
        Pattern("grouped", r"[0-9]{2}-[0-9]{6}-[0-9]{6}-[0-9]", 5, luhn, 0.1, inside="alone"),
    ),
    names=("imei", "imei number", "device imei", "handset", "imei no"),
)
