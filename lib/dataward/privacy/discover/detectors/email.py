"""``email``: an address of electronic mail (RFC 5322's dot-atom, RFC 6531's letters of any script)."""

from dataward.privacy.discover.detector import Detector, Pattern

ATOM = r"[\p{L}0-9!#$%&'+/=?^_`{|}~-]"
PLAIN = r"[\p{L}0-9_%+'-]"
DOMAIN = r"(?:[\p{L}0-9](?:[\p{L}0-9-]{0,61}[\p{L}0-9])?\.)+[\p{L}]{2,24}"

DETECTOR = Detector(
    class_="email",
    explains="addresses of electronic mail",
    patterns=(
        Pattern("address", rf"(?:mailto:)?{ATOM}+(?:\.{ATOM}+)*@{DOMAIN}", 7),
        Pattern("in text", rf"{PLAIN}+(?:\.{PLAIN}+)*@{DOMAIN}", 7, inside="alone"),
    ),
    names=(
        "email",
        "e mail",
        "mail",
        "email address",
        "correo",
        "courriel",
        "mailadresse",
        "contact email",
        "posta",
        "emailadres",
    ),
)
