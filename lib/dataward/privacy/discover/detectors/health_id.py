"""``health_id``: numbers of the insured and of patients: Britain's NHS, America's Medicare, and others."""

from dataward.privacy.discover.checksums import Stdnum
from dataward.privacy.discover.detector import Detector, Pattern

MBI = "[AC-HJKMNP-RT-Y]"

DETECTOR = Detector(
    class_="health_id",
    explains="numbers of the insured and of patients",
    patterns=(
        Pattern("gb nhs", r"[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{4}", 1.2, Stdnum("gb.nhs"), 0.09, inside="near"),
        Pattern("us medicare", rf"[1-9]{MBI}[0-9AC-HJKMNP-RT-Y][0-9]-?{MBI}[0-9AC-HJKMNP-RT-Y][0-9]-?{MBI}{{2}}[0-9]{{2}}", 6, inside="alone"),
        Pattern("ca, british columbia", r"9[0-9]{3} ?[0-9]{3} ?[0-9]{3}", 1.5, Stdnum("ca.bc_phn"), 0.09, inside="near"),
        Pattern("eu health insurance card", r"80[0-9]{18}", 0.5, inside="near"),
        Pattern("de insured", r"[A-Z][0-9]{9}", -1.5, inside="near"),
        Pattern("record", r"[A-Z]{0,4}-?[0-9]{5,12}", -4, inside="near"),
    ),
    names=(
        "nhs", "nhs number", "nhs no", "medicare", "medicare number", "mbi", "health card", "patient id", "patient number", "mrn",
        "medical record", "medical record number", "phn", "versichertennummer", "insurance number", "health id", "krankenversichertennummer", "policyholder", "ehic", "health insurance card",
    ),
    named=6,
)  # fmt: skip
