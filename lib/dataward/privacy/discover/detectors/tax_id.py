"""``tax_id``: numbers under which people and firms pay taxes, value added tax included (python-stdnum)."""

from dataward.privacy.discover.checksums import Stdnum
from dataward.privacy.discover.detector import Detector, Pattern


def of(country: str, module: str, regex: str, chance: float, odds: float = 4, inside: str = "near") -> Pattern:
    """Return a pattern with the check of a module of python-stdnum."""
    return Pattern(country, regex, odds, Stdnum(module), chance, 0.98, inside)


DETECTOR = Detector(
    class_="tax_id",
    explains="numbers under which taxes are paid",
    patterns=(
        of("us ein", "us.ein", r"[0-9]{2}-[0-9]{7}", 0.85, 2.5),
        of("us itin", "us.itin", r"9[0-9]{2}-[0-9]{2}-[0-9]{4}", 0.28, 4.5),
        of("ar cuit", "ar.cuit", r"(?:2[03478]|3[034])-?[0-9]{8}-?[0-9]", 0.1, 4),
        of("au tfn", "au.tfn", r"[0-9]{3} ?[0-9]{3} ?[0-9]{2,3}", 0.09, 1.5),
        of("au abn", "au.abn", r"[0-9]{2} ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}", 0.011, 4),
        of("br cnpj", "br.cnpj", r"[0-9]{2}\.?[0-9]{3}\.?[0-9]{3}/?[0-9]{4}-?[0-9]{2}", 0.01, 6, "alone"),
        of("co nit", "co.nit", r"[0-9]{3}\.?[0-9]{3}\.?[0-9]{3}-[0-9]", 0.09, 4),
        of("de idnr", "de.idnr", r"[1-9][0-9] ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}", 0.003, 4.5),
        of("eu vat", "eu.vat", r"(?:AT|BE|BG|CY|CZ|DE|DK|EE|EL|ES|FI|FR|HR|HU|IE|IT|LT|LU|LV|MT|NL|PL|PT|RO|SE|SI|SK)[ ]?[0-9A-Z.]{8,14}", 0.001, 6, "alone"),
        of("gb vat", "gb.vat", r"GB ?[0-9]{3} ?[0-9]{4} ?[0-9]{2}(?: ?[0-9]{3})?", 0.02, 6, "alone"),
        of("ch uid", "ch.uid", r"CHE-?[0-9]{3}\.?[0-9]{3}\.?[0-9]{3}", 0.1, 6, "alone"),
        of("gb utr", "gb.utr", r"[0-9]{10}", 0.09, 1),
        Pattern("in pan", r"[A-Z]{3}[ABCFGHJLPT][A-Z][0-9]{4}[A-Z]", 5, inside="alone"),
        of("in gstin", "in_.gstin", r"[0-9]{2}[A-Z]{5}[0-9]{4}[A-Z][0-9A-Z]Z[0-9A-Z]", 0.005, 8, "alone"),
        of("it iva", "it.iva", r"[0-9]{11}", 0.011, 1.5),
        of("mx rfc", "mx.rfc", r"[A-ZÑ&]{3,4}[0-9]{6}[0-9A-Z]{3}", 0.034, 5, "alone"),
        of("nz ird", "nz.ird", r"[0-9]{2,3}-?[0-9]{3}-?[0-9]{3}", 0.08, 1.5),
        of("pe ruc", "pe.ruc", r"(?:10|15|17|20)[0-9]{9}", 0.09, 3),
        of("pl nip", "pl.nip", r"[0-9]{3}-?[0-9]{3}-?[0-9]{2}-?[0-9]{2}", 0.09, 2),
        of("pt nif", "pt.nif", r"[1-9][0-9]{8}", 0.09, 2),
        of("ru inn", "ru.inn", r"[0-9]{10}|[0-9]{12}", 0.05, 2.5),
        of("tr vkn", "tr.vkn", r"[0-9]{10}", 0.1, 1),
    ),
    names=(
        "tax", "tax id", "tax number", "tin", "ein", "itin", "vat", "vat number", "vat id", "steuernummer", "steuer id", "tfn", "abn", "cnpj", "cuit", "nit", "pan",
        "gstin", "gst", "rfc", "inn", "nip", "nif", "ust id", "partita iva", "p iva", "utr", "company vat", "tva", "btw", "ruc", "ird", "vkn",
    ),
)  # fmt: skip
