"""``drug_code``: what somebody was prescribed, as America's national drug codes (NDC)."""

from dataward.privacy.discover.detector import Detector, Pattern

DETECTOR = Detector(
    class_="drug_code",
    explains="codes of drugs",
    patterns=(
        Pattern("ndc", r"[0-9]{5}-[0-9]{4}-[0-9]{2}|[0-9]{4}-[0-9]{4}-[0-9]{2}|[0-9]{5}-(?:[0-9]{3}-[0-9]{2}|[0-9]{4}-[0-9])", 2.5, inside="near"),
        Pattern("digits", r"[0-9]{10,11}", -4, inside=""),
    ),
    names=("ndc", "drug code", "ndc code", "medication code", "drug ndc", "prescription"),
    named=6,
)  # fmt: skip
