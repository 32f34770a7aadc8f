"""``blood_type``: groups of blood (ABO and Rhesus)."""

from dataward.privacy.discover.detector import Detector, Pattern

DETECTOR = Detector(
    class_="blood_type",
    explains="groups of blood",
    patterns=(
        Pattern("with rhesus", r"(?i)(?:AB|A|B|O|0) ?(?:[+-]|pos(?:itive)?|neg(?:ative)?|rh[+-])", 6, inside="near"),
        Pattern("without", r"AB|A|B|O|0", -4),
    ),
    names=(
        "blood type",
        "blood group",
        "blutgruppe",
        "groupe sanguin",
        "grupo sanguineo",
        "gruppo sanguigno",
        "bloedgroep",
    ),
    named=6.5,
)
