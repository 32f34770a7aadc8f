"""``url_password``: addresses that carry a password (RFC 3986 userinfo), and connection strings that do."""

from dataward.privacy.discover.detector import Detector, Pattern

DETECTOR = Detector(
    class_="url_password",
    explains="addresses and connection strings with a password",
    patterns=(
        Pattern(
            "user:password@host",
            r"(?i)[a-z][a-z0-9+.-]{1,30}://[^\s:/@?#]+:[^\s/@?#]+@[^\s]+",
            8,
            inside="alone",
        ),
        Pattern("password=", r"(?i)(?:[a-z ]{2,20}=[^;]*;)*(?:pwd|password)=[^;\s]{3,}(?:;[^\n]*)?", 6, inside="alone"),
    ),
    names=("connection string", "database url", "dsn", "jdbc url", "conn str", "url"),
    named=2,
)
