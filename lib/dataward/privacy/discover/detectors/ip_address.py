"""``ip_address``: addresses of the Internet Protocol, versions 4 (RFC 791) and 6 (RFC 4291). A version of four parts looks the same."""

import ipaddress
from collections.abc import Sequence

from dataward.privacy.discover.detector import Detector, Pattern

BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"


def wide(texts: Sequence[str]) -> list[bool]:
    """Return which do not look like a program's version (1.2.0.14): the first part is 10 or more, or a later one is above 99."""
    parts = [[int(part) for part in text.partition("/")[0].partition(":")[0].split(".")] for text in texts]
    return [(four[0] >= 10 and max(four) > 31) or max(four[1:]) > 99 for four in parts]


def six(texts: Sequence[str]) -> list[bool]:
    """Return which texts are valid IPv6 addresses."""

    def valid(text: str) -> bool:
        try:
            ipaddress.IPv6Address(text.partition("/")[0].partition("%")[0])
        except ValueError:
            return False
        return True

    return [valid(text) for text in texts]


DETECTOR = Detector(
    class_="ip_address",
    explains="addresses of the Internet Protocol",
    patterns=(
        Pattern("version 4", rf"{BYTE}(?:\.{BYTE}){{3}}(?:/[0-9]{{1,2}})?(?::[0-9]{{1,5}})?", 5, wide, 0.1, 0.9, inside="alone"),
        Pattern("version 6", r"(?i)(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?:/[0-9]{1,3})?", 6, six, 0.3, inside="alone"),
    ),
    names=("ip", "ip address", "ipv4", "ipv6", "ip addr", "client ip", "remote addr", "source ip", "adresse ip", "host ip"),
)  # fmt: skip
