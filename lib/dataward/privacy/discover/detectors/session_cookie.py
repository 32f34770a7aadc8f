"""``session_cookie``: cookies by which a session could be taken over (RFC 6265)."""

from dataward.privacy.discover.detector import Detector, Pattern

NAMES = r"(?:[a-z_.-]*sess(?:ion)?[a-z_.-]*(?:id)?|sid|connect\.sid|phpsessid|jsessionid|asp\.net_sessionid|auth[a-z_-]*|csrf[a-z_-]*)"

DETECTOR = Detector(
    class_="session_cookie",
    explains="cookies of sessions",
    patterns=(
        Pattern("set-cookie", r"(?i)(?:set-)?cookie: [^=;\s]+=[^\n]+", 7, inside="alone"),
        Pattern("session=", rf"(?i)(?:[^=;\s]+=[^;]*; ?)*{NAMES}=[A-Za-z0-9%._:+/=-]{{8,}}(?:;[^\n]*)?", 6, inside="alone"),
        Pattern("bare", r"[A-Za-z0-9%._:+/=-]{16,}", -3),
    ),
    names=("cookie", "session", "session id", "sessionid", "session cookie", "set cookie", "session token", "phpsessid", "jsessionid"),
)  # fmt: skip
