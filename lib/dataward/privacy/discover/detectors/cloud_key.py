"""``cloud_key``: keys to clouds: AWS, Google, Azure, and others by the form that their makers give them."""

from dataward.privacy.discover.detector import Detector, Pattern

DETECTOR = Detector(
    class_="cloud_key",
    explains="keys to clouds",
    patterns=(
        Pattern("aws access key id", r"(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA|ABIA|ACCA)[A-Z2-7]{16}", 8, inside="alone"),
        Pattern("aws secret key", r"[A-Za-z0-9/+]{40}", -3, inside="near"),
        Pattern("google api key", r"AIza[0-9A-Za-z_-]{35}", 8, inside="alone"),
        Pattern("google oauth", r"ya29\.[0-9A-Za-z_-]{20,}|[0-9]{6,}-[0-9a-z]{32}\.apps\.googleusercontent\.com", 8, inside="alone"),
        Pattern("azure storage", r"(?:AccountKey=)?[A-Za-z0-9+/]{86}==", 5, inside="alone"),
        Pattern("azure shared access signature", r"(?:https://[^ ]*|[^ ]*)\bsig=[A-Za-z0-9%]{40,}[^ ]*", 7, inside="alone"),
        Pattern("digitalocean, alibaba", r"do[opr]_v1_[a-f0-9]{64}|LTAI[A-Za-z0-9]{20}", 8, inside="alone"),
    ),
    names=("aws key", "access key", "secret key", "aws secret", "cloud key", "secret access key", "aws access key", "storage key", "account key"),
)  # fmt: skip
