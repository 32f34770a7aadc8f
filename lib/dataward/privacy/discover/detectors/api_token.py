"""``api_token``: tokens to services, by the prefixes that their makers give them so that scanners find them."""

from dataward.privacy.discover.detector import Detector, Pattern

DETECTOR = Detector(
    class_="api_token",
    explains="tokens to services",
    patterns=(
        Pattern("github, gitlab", r"(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{36,}|glpat-[A-Za-z0-9_-]{20,})", 8, inside="alone"),
        Pattern("slack", r"xox[abeoprs]-[A-Za-z0-9-]{10,}|https://hooks\.slack\.com/services/[A-Za-z0-9/]{20,}", 8, inside="alone"),
        Pattern("stripe, square, shopify", r"(?:[sr]k|whsec)_(?:live|test)?_?[0-9A-Za-z]{16,}|sq0[a-z]{3}-[0-9A-Za-z_-]{22,43}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}", 8, inside="alone"),
        Pattern("databricks, npm, pypi, hugging face, openai, anthropic", r"dapi[a-f0-9]{32}(?:-[0-9])?|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{40,}|hf_[A-Za-z0-9]{30,}|sk-(?:ant-|proj-)?[A-Za-z0-9_-]{32,}", 8, inside="alone"),
        Pattern("sendgrid, twilio, mailgun, telegram", r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}|(?:SK|AC)[0-9a-f]{32}|key-[0-9a-z]{32}|[0-9]{8,10}:AA[A-Za-z0-9_-]{33}", 6, inside="alone"),
        Pattern("basic authorization", r"(?i)authorization: basic [A-Za-z0-9+/]{6,}={0,2}", 8, inside="alone"),
        Pattern("bearer", r"(?i)bearer [A-Za-z0-9._~+/-]{20,}=*", 7, inside="alone"),
        Pattern("no prefix", r"[A-Za-z0-9_-]{20,}", -3, inside="near"),
    ),
    names=("api key", "api token", "apikey", "access token", "auth token", "token", "client secret", "api secret", "secret", "refresh token", "bearer token"),
)  # fmt: skip
