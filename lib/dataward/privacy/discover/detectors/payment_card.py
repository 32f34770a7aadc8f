"""``payment_card``: card numbers (ISO/IEC 7812): the issuers' leading digits and lengths, and Luhn's check."""

from dataward.privacy.discover.checksums import luhn
from dataward.privacy.discover.detector import Detector, Pattern

GAP = "[ -]?"
FOUR = f"[0-9]{{4}}{GAP}"

DETECTOR = Detector(
    class_="payment_card",
    explains="numbers of payment cards",
    patterns=(
        Pattern("magnetic stripe", r"%?B[0-9]{13,19}\^[A-Z /.'-]{2,26}\^[0-9]{7,}[0-9=]*\??|;[0-9]{13,19}=[0-9]{7,}\??", 8, inside="alone"),
        Pattern("16 digits", rf"(?:4[0-9]{{3}}|5[0-9]{{3}}|2[2-7][0-9]{{2}}|6[0-9]{{3}}|35[0-9]{{2}}|3[0689][0-9]{{2}}|8[16][0-9]{{2}}|9792){GAP}{FOUR}{FOUR}[0-9]{{4}}", 5, luhn, 0.1, inside="alone"),
        Pattern("American Express", rf"3[47][0-9]{{2}}{GAP}[0-9]{{6}}{GAP}[0-9]{{5}}", 5, luhn, 0.1, inside="alone"),
        Pattern("Diners Club", rf"3(?:0[0-5]|[689][0-9])[0-9]{GAP}[0-9]{{6}}{GAP}[0-9]{{4}}", 4, luhn, 0.1, inside="near"),
        Pattern("Maestro, UnionPay, old Visa", r"(?:5[0678][0-9]{2}|6[0-9]{3}|4[0-9]{3})(?:[0-9]{8,9}|[0-9]{11}|[0-9]{13,15})", 2.5, luhn, 0.1, inside="near"),
    ),
    names=(
        "card", "card number", "credit card", "cc number", "cc num", "cc", "pan", "debit card", "payment card", "card no",
        "kartennummer", "kreditkarte", "tarjeta", "carte bancaire", "numero carta", "visa", "mastercard", "amex",
    ),
)  # fmt: skip
