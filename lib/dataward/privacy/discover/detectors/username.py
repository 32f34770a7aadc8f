"""``username``: names by which people log in. Told by the column's name."""

from dataward.privacy.discover.detector import Detector, Pattern

DETECTOR = Detector(
    class_="username",
    explains="names by which people log in",
    patterns=(
        Pattern("at sign", r"@[A-Za-z0-9_]{2,30}", 0.5),
        Pattern("one word", r"[\p{L}0-9._@-]{2,40}", -3),
    ),
    names=("user name", "username", "login", "login name", "user login", "screen name", "nickname", "handle", "benutzername", "usuario", "twitter handle", "nom utilisateur", "account name"),
)  # fmt: skip
