"""``postcode``: postal codes. Britain's, Canada's, the Netherlands' and others are recognised by their form; plain digits need the column's name."""

from dataward.privacy.discover.detector import Detector, Pattern

GB = "(?:GIR|[A-PR-UWYZ](?:[0-9]{1,2}|[A-HK-Y][0-9]|[A-HK-Y][0-9][0-9A-Z]|[0-9][A-HJKPS-UW]))"

DETECTOR = Detector(
    class_="postcode",
    explains="postal codes",
    patterns=(
        Pattern("gb", rf"(?i){GB} [0-9][ABD-HJLNP-UW-Z]{{2}}", 4),
        Pattern("gb, in one word", rf"(?i){GB}[0-9][ABD-HJLNP-UW-Z]{{2}}", -0.5),
        Pattern("ca", r"(?i)[ABCEGHJ-NPRSTVXY][0-9][ABCEGHJ-NPRSTV-Z] ?[0-9][ABCEGHJ-NPRSTV-Z][0-9]", 4),
        Pattern("nl", r"[1-9][0-9]{3} ?[A-Z]{2}", 2),
        Pattern("us zip+4, br, jp, pl, pt, se", r"[0-9]{5}-[0-9]{4}|[0-9]{5}-[0-9]{3}|[0-9]{3}-[0-9]{4}|[0-9]{2}-[0-9]{3}|[0-9]{4}-[0-9]{3}|[0-9]{3} [0-9]{2}|〒[0-9]{3}-[0-9]{4}", 0.8),
        Pattern("digits", r"(?:[A-Z]{1,2}-)?[0-9]{4,6}(?:-[0-9]{4})?", -3),
        Pattern("mixed", r"[A-Z0-9]{2,5}[ -]?[A-Z0-9]{2,4}", -3.5),
    ),
    names=(
        "zip", "zip code", "postcode", "postal code", "post code", "plz", "postleitzahl", "code postal", "codigo postal", "cap", "cep",
        "postnummer", "kod pocztowy", "postinumero", "zipcode", "postalcode",
    ),
    named=5.5,
)  # fmt: skip
