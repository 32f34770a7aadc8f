"""``private_key``: private keys in PEM (RFC 7468) and PuTTY's form."""

from dataward.privacy.discover.detector import Detector, Pattern

KIND = "(?:RSA |EC |DSA |OPENSSH |ENCRYPTED |PGP )?"

DETECTOR = Detector(
    class_="private_key",
    explains="private keys",
    patterns=(
        Pattern("pem", rf"(?s)-----BEGIN {KIND}PRIVATE KEY(?: BLOCK)?-----.*", 9),
        Pattern("pem in text", rf"(?s)-----BEGIN {KIND}PRIVATE KEY(?: BLOCK)?-----[A-Za-z0-9+/=\s:,.-]*?(?:-----END {KIND}PRIVATE KEY(?: BLOCK)?-----)", 9, inside="alone"),
        Pattern("pem begun", rf"-----BEGIN {KIND}PRIVATE KEY(?: BLOCK)?-----[A-Za-z0-9+/=\s]*", 9, inside="alone"),
        Pattern("putty", r"(?s)PuTTY-User-Key-File-[23]:.*", 9, inside="alone"),
    ),
    names=("private key", "ssh key", "pem", "rsa key", "key material"),
    named=2,
)  # fmt: skip
