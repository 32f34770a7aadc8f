"""``record is well formed``: Spark could read the record. Not part of DQDL; added to csv and json sources automatically."""

from __future__ import annotations

from datetime import datetime

from dataward.quality.rules.base import Statement
from dataward.quality.rules.families import RowRule
from dataward.spark.sql import identifier, literal

__all__ = ["WellFormed"]


class WellFormed(RowRule):
    """A row fails when a field is missing, superfluous, or not of its type in the schema."""

    name = "WellFormed"
    parameters = (2, 3)
    condition = ""

    @classmethod
    def of(cls, malformed: str, column: str) -> WellFormed:
        """Return the rule; column ``malformed`` is null for a good record, ``column`` is any column of the file."""
        return cls(Statement("WellFormed", (malformed, column), text="record is well formed"))

    @classmethod
    def decoded(cls, malformed: str, column: str, mark: str, encoding: str) -> WellFormed:
        """Make the rule that fails records whose malformed column holds ``mark``: they have bytes that do not fit the encoding."""
        text = f"record is {encoding} (else name its encoding in source.options: encoding)"
        return cls(Statement("WellFormed", (malformed, column, mark), text=text))

    @property
    def series(self) -> str:
        """Name in the history of runs: the rule's words, as its parameters name a column of Dataward's own."""
        return self.text

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the source that the rule reads."""
        return self.statement.parameters[:2]

    @property
    def offending(self) -> tuple[str, ...]:
        """Columns that a failed row is reported with."""
        return ()

    def predicate(self, now: datetime) -> str:
        """Return SQL of the condition that a row must meet, never null."""
        malformed, column = map(identifier, self.columns)
        if mark := self.statement.parameters[2:]:
            return f"(coalesce({malformed} != {literal(mark[0])}, true) and length(coalesce(cast({column} as string), '')) >= 0)"
        # Spark refuses to read a text file for its malformed column alone; the second term asks for one more.
        return f"({malformed} is null and length(coalesce(cast({column} as string), '')) >= 0)"
