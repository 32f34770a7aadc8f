"""``device_id``: identities of devices for advertising (IDFA, AAID) and of mobile equipment. Told by the column's name: a UUID is a UUID."""

from dataward.privacy.discover.detector import Detector, Pattern

DETECTOR = Detector(
    class_="device_id",
    explains="identities of devices",
    patterns=(
        Pattern("udi", r"\(01\)[0-9]{14}(?:\((?:10|11|17|21)\)[A-Za-z0-9./-]{1,20})+", 6, inside="alone"),
        Pattern("uuid", r"(?i)[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", -3, inside=""),
        Pattern("hex", r"(?i)[0-9a-f]{14,40}", -3, inside=""),
    ),
    names=("idfa", "aaid", "gaid", "advertising id", "device id", "ad id", "android id", "idfv", "meid", "device uuid", "device identifier", "udid", "udi"),
    named=6,
)  # fmt: skip
