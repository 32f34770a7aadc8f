"""State of a frame under repair.

Helper columns beside the source's own record what was done to each cell, until it is counted, and why a row is diverted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dataward.quality.internal import INTERNAL
from dataward.quality.metrics import Metric
from dataward.spark.held import hold
from dataward.spark.sql import identifier, literal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["WHY", "Repair", "Tally", "Working"]

WHY = f"{INTERNAL}why"
"""Column of reasons to divert a row: array<struct<what: string, columns: array<string>>>, empty for a row that stays."""


@dataclass(frozen=True)
class Repair:
    """Number of cells of a column that one repair treated in one way; of rows, where ``column`` is None."""

    treatment: str
    column: str | None
    what: str
    count: int


@dataclass(frozen=True)
class Tally:
    """A helper column (named ``beside``) that holds what was done to a cell: one of ``whats``, or null."""

    treatment: str
    column: str | None
    whats: tuple[str, ...]
    beside: str

    def metrics(self) -> dict[Metric, str]:
        """Return a metric that counts each of ``whats``."""
        return {Metric("size", where=f"coalesce({self.beside} = {literal(what)}, false)"): what for what in self.whats}


@dataclass
class Working:
    """A frame as repaired so far.

    Attributes:
        frame: the source's own columns, :data:`WHY` and the helper columns.
        own: names of the source's own columns.
        unread: the column that holds records which Spark could not read; None where there is none.
        tallies: what the repairs did to cells.
        notes: warnings for the report.
        releases: functions that unpersist frames; the caller runs them after the run.
    """

    frame: DataFrame
    own: tuple[str, ...]
    unread: str | None = None
    tallies: list[Tally] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    releases: list[Callable[[], object]] = field(default_factory=list)

    @classmethod
    def of(cls, frame: DataFrame, unread: str | None) -> Working:
        """Start the repair of a frame in which no row is diverted."""
        from pyspark.sql import functions as F

        own = tuple(name for name in frame.columns if name != unread and not name.startswith(INTERNAL))
        nothing = F.expr("cast(array() as array<struct<what: string, columns: array<string>>>)")
        return cls(frame.withColumn(WHY, nothing), own, unread if unread in frame.columns else None)

    def live(self) -> str:
        """Return SQL: whether the row could be read and is not diverted."""
        readable = f" and {identifier(self.unread)} is null" if self.unread else ""
        return f"(size({WHY}) = 0{readable})"

    def hold(self) -> None:
        """Compute the frame now and hold it, so that what follows begins there; where it cannot be computed, judging reports it."""
        with suppress(Exception):
            held = hold(self.frame)
            self.releases.append(held.release)
            self.frame = held.frame

    def replace(self, changes: Mapping[str, str]) -> None:
        """Set several columns at once; each SQL is evaluated over the frame before the change."""
        from pyspark.sql import functions as F

        self.frame = self.frame.withColumns({name: F.expr(sql) for name, sql in changes.items()})

    def tally(self, treatment: str, column: str | None, whats: Iterable[str], sql: str) -> Tally:
        """Add a tally; ``sql`` yields one of ``whats`` or null, and is evaluated over the present frame."""
        added = Tally(treatment, column, tuple(whats), f"{INTERNAL}did{len(self.tallies)}")
        self.tallies.append(added)
        self.replace({added.beside: sql})
        return added

    def divert(self, what: str, columns: Iterable[str], when: str) -> None:
        """Divert the rows for which the SQL ``when`` is true; ``what`` is the SQL of the reason."""
        names = ", ".join(map(literal, columns))
        reason = f"array(named_struct('what', {what}, 'columns', array({names})))"
        self.replace({WHY: f"if(coalesce({when}, false), concat({WHY}, {reason}), {WHY})"})

    def kind(self, column: str) -> str:
        """Return Spark's simple type string of a column."""
        return dict(self.frame.dtypes)[next(name for name in self.frame.columns if name.lower() == column.lower())]

    def name(self, column: str) -> str:
        """Return a column's name as the frame spells it."""
        return next(name for name in self.frame.columns if name.lower() == column.lower())
