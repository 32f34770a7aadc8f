"""``password_hash``: hashes of passwords in crypt's form ($2b$, $argon2id$, $6$, {SSHA}, pbkdf2)."""

from dataward.privacy.discover.detector import Detector, Pattern

DETECTOR = Detector(
    class_="password_hash",
    explains="hashes of passwords",
    patterns=(
        Pattern("bcrypt, scrypt, sha-crypt", r"\$(?:2[abxy]?|5|6|1|y|7|argon2(?:id?|d))\$[^\s]{20,}", 9, inside="alone"),
        Pattern("django, ldap", r"(?:pbkdf2_sha(?:1|256)|bcrypt_sha256|scrypt|argon2)\$[^\s]{30,}|\{S?SHA(?:256|512)?\}[A-Za-z0-9+/=]{20,}", 8, inside="alone"),
        Pattern("hex", r"[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}", -3),
    ),
    names=("password hash", "pwd hash", "hashed password", "passwd hash", "pw hash", "password", "password digest"),
    named=6,
)  # fmt: skip
