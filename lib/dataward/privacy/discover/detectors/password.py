"""``password``: passwords as they were typed. Told by the column's name: a word is a word."""

from dataward.privacy.discover.detector import Detector, Pattern

DETECTOR = Detector(
    class_="password",
    explains="passwords as they were typed",
    patterns=(Pattern("any text", r"[^\s]{4,64}", -3.5),),
    names=("password", "passwd", "pwd", "passphrase", "user password", "passwort", "contrasena", "mot de passe", "senha", "wachtwoord", "pass"),
    named=6.5,
)  # fmt: skip
