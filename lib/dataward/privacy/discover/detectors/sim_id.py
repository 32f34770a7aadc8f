"""``sim_id``: serial numbers of SIM cards (ICCID, ITU-T E.118): 89, a country, and Luhn's digit."""

from dataward.privacy.discover.checksums import luhn
from dataward.privacy.discover.detector import Detector, Pattern

DETECTOR = Detector(
    class_="sim_id",
    explains="serial numbers of SIM cards",
    patterns=(Pattern("iccid", r"89[0-9]{17,18}", 6, luhn, 0.1, inside="alone"),),
    names=("iccid", "sim", "sim id", "sim number", "sim card", "imsi"),
)
