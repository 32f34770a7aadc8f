"""``protected``: what Dataward's own operators have made: tokens, and what encrypt and redact_text leave."""

from dataward.privacy.discover.detector import Detector, Pattern

SHAPE = r"v[0-9]{1,6}\.(?:[0-9a-f]{64}|[0-9a-f]{48}|[0-9a-f]{32})"

DETECTOR = Detector(
    class_="protected",
    explains="what Dataward has protected",
    patterns=(
        Pattern("token", SHAPE, 9),
        Pattern("encrypted", r"v[0-9]{1,6}\.[A-Za-z0-9_-]{22,}", 5),
        Pattern("redacted", r"\[redacted\]", 9),
    ),
    names=("token",),
    named=0,
)
