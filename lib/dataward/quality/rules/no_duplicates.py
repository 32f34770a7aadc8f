"""``NoDuplicates "given_name" "surname" "born" with similarity = 0.9``: no two rows are the same thing, written differently."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from dataward.quality.duplicates.matching import Compared, Matching
from dataward.quality.flags import Alike, Flag
from dataward.quality.rules.base import RowRule

__all__ = ["NoDuplicates"]


class NoDuplicates(RowRule):
    """No other row is alike: the mean similarity (Jaro-Winkler) of the columns, without case, reaches ``similarity``.

    Dataward's own rule; all rows that are alike fail. ``similarity`` is 0.85 unless said otherwise. Columns in which one of two
    rows is NULL are left out, if the others are half of all. Rows are compared where they share the value of at least one column.
    For weights, other comparisons and keys, and to keep one row of each, see ``treat`` in the contract.

    Example::

        NoDuplicates "mail"                    # 0.6, FAILED
        NoDuplicates "age" "raw" with similarity = 1    # 1, PASSED
    """

    name = "NoDuplicates"
    parameters = (1, None)
    condition = ""
    takes_where = False
    tags = frozenset({"threshold", "similarity"})
    ours = True

    def check(self) -> None:
        super().check()
        self.check_settings()
        if not 0 < self.similarity <= 1:
            self.refuse("'similarity' lies between 0 and 1", "e.g. with similarity = 0.9")

    @property
    def similarity(self) -> float:
        said = dict(self.statement.tags).get("similarity")
        given = said.operands[0] if said else Decimal("0.85")
        return float(given) if isinstance(given, Decimal) else 0.0

    def flags(self) -> tuple[Flag, ...]:
        return (Alike(Matching(tuple(map(Compared, self.columns)), self.similarity)),)

    def predicate(self, now: datetime) -> str:
        return f"(not {self.flags()[0].name})"
