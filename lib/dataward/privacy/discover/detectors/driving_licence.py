"""``driving_licence``: numbers of driving licences; Britain's is recognised by its form, others by the column's name."""

from dataward.privacy.discover.detector import Detector, Pattern

DETECTOR = Detector(
    class_="driving_licence",
    explains="numbers of driving licences",
    patterns=(
        Pattern("gb", r"[A-Z9]{5}[0-9](?:0[1-9]|1[0-2]|5[1-9]|6[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9][A-Z9]{2}[A-Z0-9]{3}", 5, inside="alone"),
        Pattern("letters and digits", r"[A-Z]{1,3}[ -]?[0-9]{3,13}(?:[ -][0-9]{3,5}){0,3}[A-Z]?|[A-Z0-9]{2,5}[ -]?[A-Z0-9]{5,13}", -3, inside="near"),
        Pattern("digits", r"[0-9]{2,3}[ -]?[0-9]{3}[ -]?[0-9]{3,6}", -3.5, inside="near"),
    ),
    names=(
        "driving licence", "driver license", "drivers license", "driver licence", "license number", "licence number", "dl number",
        "fuhrerschein", "fuhrerscheinnummer", "permis de conduire", "permiso de conducir", "patente", "driver s license", "dln", "rijbewijs",
    ),
    named=6.5,
)  # fmt: skip
