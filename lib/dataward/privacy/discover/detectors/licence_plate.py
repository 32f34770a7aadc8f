"""``licence_plate``: number plates of vehicles. Shapes of 20 countries; few can be recognised without the column's name."""

from dataward.privacy.discover.detector import Detector, Pattern

DETECTOR = Detector(
    class_="licence_plate",
    explains="number plates of vehicles",
    patterns=(
        Pattern("gb", r"[A-Z]{2}[0-9]{2} ?[A-Z]{3}|[A-Z][0-9]{1,3} [A-Z]{3}|[A-Z]{3} [0-9]{1,3}[A-Z]", 0, inside="near"),
        Pattern("de", r"[A-ZÄÖÜ]{1,3}[ -][A-Z]{1,2}[ -]?[0-9]{1,4}[EH]?", 0, inside="near"),
        Pattern("fr, it", r"[A-Z]{2}[- ]?[0-9]{3}[- ]?[A-Z]{2}", 0, inside="near"),
        Pattern("es, pt, nl, se and others", r"[0-9]{4}[ -]?[A-Z]{3}|[A-Z]{1,3}[ -]?[0-9]{3,4}[ -]?[A-Z]{0,3}|(?:[A-Z0-9]{2}-){2}[A-Z0-9]{2}|[0-9]{1,3}[ -]?[A-Z]{2,3}[ -]?[0-9]{1,3}", -2.5, inside="near"),
        Pattern("mixed", r"[0-9\p{L}·]{1,6}(?:[ -]?[0-9\p{L}·]{1,5}){1,3}", -4, inside=""),
        Pattern("jp, cn", r"\p{Han}{1,4} ?[A-Z0-9]{1,3} ?[·・]?\p{Hiragana}? ?[0-9A-Z·・-]{2,7}", 0),
    ),
    names=("licence plate", "license plate", "plate", "plate number", "number plate", "registration plate", "kennzeichen", "matricula", "targa", "immatriculation", "placa", "kenteken", "registration number", "vehicle registration"),
    named=6,
)  # fmt: skip
