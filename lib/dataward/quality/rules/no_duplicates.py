"""``NoDuplicates "given_name" "surname" "born" with similarity = 0.9``: no two rows are similar."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from dataward.quality.duplicates.matching import Compared, Matching
from dataward.quality.flags import Alike, Flag
from dataward.quality.rules.families import RowRule

__all__ = ["NoDuplicates"]


class NoDuplicates(RowRule):
    """A row fails when another row is similar: the mean similarity (Jaro-Winkler, case-insensitive) reaches ``similarity``.

    Dataward's own rule; all similar rows fail. ``similarity`` is 0.85 by default. Columns in which one of two rows is NULL are left
    out, if the others are at least half of all. Rows are compared where they share the value of at least one column. For weights,
    other comparisons and keys, and to keep one row of each cluster, see ``treat`` in the contract.

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
        """Validate the statement."""
        super().check()
        self.check_settings()
        if not 0 < self.similarity <= 1:
            self.refuse("'similarity' lies between 0 and 1", "e.g. with similarity = 0.9")

    @property
    def similarity(self) -> float:
        """Smallest similarity of duplicates."""
        setting = dict(self.statement.tags).get("similarity")
        smallest = setting.operands[0] if setting else Decimal("0.85")
        return float(smallest) if isinstance(smallest, Decimal) else 0.0

    def flags(self) -> tuple[Flag, ...]:
        """Return the flags that the rule needs."""
        return (Alike(Matching(tuple(map(Compared, self.columns)), self.similarity)),)

    def predicate(self, now: datetime) -> str:
        """Return SQL of the condition that a row must meet, never null."""
        return f"(not {self.flags()[0].name})"
