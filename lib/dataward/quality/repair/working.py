"""A frame under repair: what was done to each cell stands beside it until it is counted, and why a row is diverted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dataward.quality.internal import INTERNAL
from dataward.quality.metrics import Metric
from dataward.sql import identifier, literal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["WHY", "Repair", "Tally", "Working"]

WHY = f"{INTERNAL}why"
"""Column: array<struct<what: string, columns: array<string>>>, empty for a row that goes on."""


@dataclass(frozen=True)
class Repair:
    """So many cells of a column (rows, where none is named) were treated in one way."""

    treatment: str
    column: str | None
    what: str
    count: int


@dataclass(frozen=True)
class Tally:
    """A column beside the source's own that holds what was done to a cell: one of ``whats``, or null."""

    treatment: str
    column: str | None
    whats: tuple[str, ...]
    beside: str

    def metrics(self) -> dict[Metric, str]:
        return {Metric("size", where=f"coalesce({self.beside} = {literal(what)}, false)"): what for what in self.whats}


@dataclass
class Working:
    """The frame as treated so far. Held frames are let go by ``releases``."""

    frame: DataFrame
    own: tuple[str, ...]
    unread: str | None = None  # the column that holds records Spark could not read
    tallies: list[Tally] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    releases: list[Callable[[], object]] = field(default_factory=list)

    @classmethod
    def of(cls, frame: DataFrame, unread: str | None) -> Working:
        from pyspark.sql import functions as F

        own = tuple(name for name in frame.columns if name != unread and not name.startswith(INTERNAL))
        nothing = F.expr("cast(array() as array<struct<what: string, columns: array<string>>>)")
        return cls(frame.withColumn(WHY, nothing), own, unread if unread in frame.columns else None)

    def live(self) -> str:
        """SQL: the row goes on."""
        readable = f" and {identifier(self.unread)} is null" if self.unread else ""
        return f"(size({WHY}) = 0{readable})"

    def replace(self, changes: Mapping[str, str]) -> None:
        """Several columns at once, by SQL over the frame as it is."""
        from pyspark.sql import functions as F

        self.frame = self.frame.withColumns({name: F.expr(sql) for name, sql in changes.items()})

    def tally(self, treatment: str, column: str | None, whats: Iterable[str], sql: str) -> Tally:
        """A column that says what was done; ``sql`` is evaluated over the frame as it is now."""
        made = Tally(treatment, column, tuple(whats), f"{INTERNAL}did{len(self.tallies)}")
        self.tallies.append(made)
        self.replace({made.beside: sql})
        return made

    def divert(self, what: str, columns: Iterable[str], when: str) -> None:
        """Rows for which SQL is true go to the quarantine; ``what`` is told of them."""
        names = ", ".join(map(literal, columns))
        reason = f"array(named_struct('what', {what}, 'columns', array({names})))"
        self.replace({WHY: f"if(coalesce({when}, false), concat({WHY}, {reason}), {WHY})"})

    def kind(self, column: str) -> str:
        """Spark's simple type of a column."""
        return dict(self.frame.dtypes)[next(name for name in self.frame.columns if name.lower() == column.lower())]

    def name(self, column: str) -> str:
        """A column's name as the frame spells it."""
        return next(name for name in self.frame.columns if name.lower() == column.lower())
