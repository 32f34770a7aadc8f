"""``jwt``: JSON web tokens (RFC 7519)."""

from dataward.privacy.discover.detector import Detector, Pattern

DETECTOR = Detector(
    class_="jwt",
    explains="JSON web tokens",
    patterns=(
        Pattern(
            "three parts",
            r"(?:Bearer )?ey[JI][A-Za-z0-9_-]{8,}\.ey[JI][A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
            9,
            inside="alone",
        ),
    ),
    names=("jwt", "token", "id token", "access token", "auth token"),
    named=2,
)
