"""``passport``: numbers of passports, whose shape is that of many things, and the machine-readable zone (ICAO 9303), which is not."""

from dataward.privacy.discover.detector import Detector, Pattern

DETECTOR = Detector(
    class_="passport",
    explains="numbers of passports",
    patterns=(
        Pattern("machine-readable zone", r"P[A-Z<][A-Z]{3}[A-Z<]{39}", 9, inside="alone"),
        Pattern("letters and digits", r"[A-Z]{1,3}[0-9]{6,9}|[0-9]{2}[A-Z]{2}[0-9]{5}", -2.5, inside="near"),
        Pattern("letters among digits", r"[CFGHJKLMNPRTVWXYZ][0-9CFGHJKLMNPRTVWXYZ]{8}", -2.5, inside="near"),
        Pattern("digits", r"[0-9]{2} ?[0-9]{2} ?[0-9]{6}|[0-9]{7,9}", -3.5, inside="near"),
    ),
    names=("passport", "passport number", "passport no", "reisepass", "passeport", "pasaporte", "passaporto", "passnummer", "paspoort", "passnr", "paszport"),
    named=6,
)  # fmt: skip
