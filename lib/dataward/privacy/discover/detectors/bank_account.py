"""``bank_account``: national numbers of bank accounts and banks, by their checksums where they have one."""

from collections.abc import Sequence

from dataward.privacy.discover.checksums import Stdnum, weighted
from dataward.privacy.discover.detector import Detector, Pattern


def routing(texts: Sequence[str]) -> list[bool]:
    """Check US routing numbers: weights 3, 7, 1 (American Bankers Association)."""
    return list(weighted(texts, (3, 7, 1, 3, 7, 1, 3, 7, 1), 10))


DETECTOR = Detector(
    class_="bank_account",
    explains="national numbers of bank accounts",
    patterns=(
        Pattern("us routing", r"(?:0[0-9]|1[0-2]|2[1-9]|3[0-2])[0-9]{7}", 0.5, routing, 0.1, inside="near"),
        Pattern("es ccc", r"[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{2}[ -]?[0-9]{10}", 5, Stdnum("es.ccc"), 0.01, inside="alone"),
        Pattern("ar cbu", r"[0-9]{8}[ -]?[0-9]{14}", 5, Stdnum("ar.cbu"), 0.01, inside="alone"),
        Pattern("cz", r"(?:[0-9]{1,6}-)?[0-9]{6,10}/[0-9]{4}", 5, Stdnum("cz.bankaccount"), 0.001, inside="near"),
        Pattern("no", r"[0-9]{4}\.?[0-9]{2}\.?[0-9]{5}", 1, Stdnum("no.kontonr"), 0.09, inside="near"),
        Pattern("nz", r"[0-9]{2}-?[0-9]{4}-?[0-9]{7}-?[0-9]{2,3}", 4, Stdnum("nz.bankaccount"), 0.001, inside="near"),
        Pattern("gb sort code and number", r"[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9]{8}", 4, inside="near"),
        Pattern("no check", r"[A-Z0-9]{0,6}[0-9 -]{6,24}[0-9]", -4, inside=""),
    ),
    names=(
        "account number", "bank account", "account no", "acct", "acct no", "acct number", "bban", "routing number", "routing",
        "aba", "sort code", "kontonummer", "konto", "cuenta", "cuenta bancaria", "clabe", "compte", "rib", "rekeningnummer", "ccc",
    ),
)  # fmt: skip
