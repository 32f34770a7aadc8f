"""``iban``: international bank account numbers (ISO 13616): a country, and the check of ISO/IEC 7064 mod 97-10."""

from dataward.privacy.discover.checksums import mod97
from dataward.privacy.discover.detector import Detector, Pattern

COUNTRIES = (
    "AD|AE|AL|AT|AZ|BA|BE|BG|BH|BR|BY|CH|CR|CY|CZ|DE|DK|DO|EE|EG|ES|FI|FO|FR|GB|GE|GI|GL|GR|GT|HR|HU|IE|IL|IQ|IS|IT|JO|KW|KZ|LB|LC|LI|"
    "LT|LU|LV|LY|MC|MD|ME|MK|MR|MT|MU|NL|NO|OM|PK|PL|PS|PT|QA|RO|RS|RU|SA|SC|SE|SI|SK|SM|ST|SV|TL|TN|TR|UA|VA|VG|XK"
)

DETECTOR = Detector(
    class_="iban",
    explains="international bank account numbers",
    patterns=(Pattern("country and check", rf"(?i)(?:{COUNTRIES})[0-9]{{2}}(?:[ -]?[A-Z0-9]{{4}}){{2,7}}(?:[ -]?[A-Z0-9]{{1,3}})?", 7, mod97, 0.011, inside="alone"),),
    names=("iban", "bank account", "account number", "konto", "kontonummer", "compte", "cuenta", "rekening", "conto"),
)  # fmt: skip
