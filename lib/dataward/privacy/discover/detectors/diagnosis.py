"""``diagnosis``: codes of diseases (ICD-10 and its clinical modification)."""

from dataward.privacy.discover.detector import Detector, Pattern

DETECTOR = Detector(
    class_="diagnosis",
    explains="codes of diseases",
    patterns=(
        Pattern("icd-10 with a dot", r"[A-TV-Z][0-9][0-9AB]\.[0-9A-TV-Z]{1,4}", 4, inside="near"),
        Pattern("icd-10", r"[A-TV-Z][0-9][0-9AB](?:\.?[0-9A-TV-Z]{1,4})?", -1.5, inside="near"),
        Pattern("procedure", r"[A-V][0-9]{4}|[0-9]{5}", -3.5),
        Pattern("icd-9", r"[0-9]{3}\.[0-9]{1,2}|[EV][0-9]{2,3}\.[0-9]{1,2}", -3, inside=""),
    ),
    names=("icd", "icd10", "icd 10", "icd code", "diagnosis", "diagnosis code", "dx", "dx code", "diagnose", "diag", "icd9", "disease code", "diagnostic", "hcpcs", "cpt code", "procedure code"),
)  # fmt: skip
