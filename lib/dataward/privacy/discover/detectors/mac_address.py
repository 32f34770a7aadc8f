"""``mac_address``: hardware addresses of network interfaces (IEEE 802)."""

from dataward.privacy.discover.detector import Detector, Pattern

DETECTOR = Detector(
    class_="mac_address",
    explains="hardware addresses of network interfaces",
    patterns=(
        Pattern(
            "by colons or dashes",
            r"(?i)(?:[0-9a-f]{2}:){5}[0-9a-f]{2}|(?:[0-9a-f]{2}-){5}[0-9a-f]{2}",
            6,
            inside="alone",
        ),
        Pattern("by dots", r"(?i)[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}", 4, inside="alone"),
        Pattern("bare", r"(?i)[0-9a-f]{12}", -3.5, inside="near"),
    ),
    names=("mac", "mac address", "macaddr", "hardware address", "wifi mac", "bssid"),
)
