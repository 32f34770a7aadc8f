"""``phone``: telephone numbers; with a country code they are held to the country's plan (phonenumbers, from Google's metadata)."""

from collections.abc import Sequence

from dataward.privacy.discover.detector import Detector, Pattern

EXTENSION = r"(?: ?(?:x|ext\.?|#) ?[0-9]{1,6})?"
REST = r"[0-9 ().\-/]{5,20}[0-9]"


def planned(texts: Sequence[str]) -> list[bool]:
    """Return which are possible numbers of the country whose code they begin with."""
    import phonenumbers

    def valid(text: str) -> bool:
        try:
            given = "+" + text[2:] if text.startswith("00") else text
            return bool(phonenumbers.is_possible_number(phonenumbers.parse(given, None)))
        except phonenumbers.NumberParseException:
            return False

    return [valid(text) for text in texts]


def few_digits(texts: Sequence[str]) -> list[bool]:
    """Return which have as many digits as national numbers (7 to 13), and are no date."""
    return [
        7 <= sum(c.isdigit() for c in text.partition("x")[0]) <= 13 and not text.startswith(("19", "20"))
        for text in texts
    ]


DETECTOR = Detector(
    class_="phone",
    explains="telephone numbers",
    patterns=(
        Pattern("international", rf"\+[1-9]{REST}{EXTENSION}", 6, planned, 0.33, 0.9, inside="alone"),
        Pattern("international, 00", rf"00[1-9]{REST}{EXTENSION}", 1, planned, 0.33, 0.9, inside="near"),
        Pattern("area code in brackets", rf"\(0?[1-9][0-9]{{1,4}}\) ?[0-9]{{2,5}}[ -]?[0-9]{{2,4}}(?:[ -]?[0-9]{{2,4}})?{EXTENSION}", 5, inside="alone"),
        Pattern("with extension", r"[0-9(+][0-9 ().\-]{6,20} ?(?:x|ext\.?) ?[0-9]{1,6}", 5, inside="alone"),
        Pattern("North American", r"(?:1[-. ])?[2-9][0-9]{2}[-. ][2-9][0-9]{2}[-. ][0-9]{4}", 3.5, inside="alone"),
        Pattern("national, grouped", r"(?:0|\(0)[1-9][0-9)]{0,4}(?:[ /-] ?[0-9]{2,8}|\.[0-9]{2,8}[ .-][0-9]{2,4})(?:[ .-][0-9]{2,4}){0,4}", 3, few_digits, 0.5, inside="near"),
        # 01.696170 is a number with a fraction, or a duration, as a rule: only the name of the column makes a phone of it.
        Pattern("national, one dot", r"0[1-9][0-9]{0,4}\.[0-9]{4,8}", -2.5, inside="near"),
        Pattern("grouped", r"(?:8[ -]?)?\(?[0-9]{2,4}\)?(?:[ -][0-9]{2,4}){2,4}", -1.5, few_digits, 0.5, inside="near"),
        Pattern("digits", r"[0-9]{7,12}", -3.5, inside="near"),
    ),
    names=(
        "phone", "phone number", "telephone", "tel", "mobile", "cell", "cellphone", "fax", "msisdn", "telefon", "telefono",
        "telefone", "handy", "telefoon", "mobil", "portable", "celular", "phone no", "contact number", "call me", "numer telefonu",
    ),
)  # fmt: skip
