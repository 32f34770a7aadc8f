"""The frozen intermediates of a run, and what an intake does with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from dataward.contract import Contract
from dataward.contract.reserved import MALFORMED
from dataward.pipeline.account import Rows
from dataward.pipeline.context import Context
from dataward.pipeline.decide import Counted
from dataward.pipeline.repair import Mended
from dataward.privacy.erased import Memory
from dataward.privacy.protect import ColumnPlan
from dataward.quality.judge import Judgement
from dataward.quality.past import Past
from dataward.quality.suite import Suite
from dataward.tables.declared import Declared
from dataward.tables.source import Pin

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from dataward.contract import Location
    from dataward.pipeline.refresh import Refresh

__all__ = ["Intake", "Judged", "Pinned", "Ready", "Split", "Waiting"]


@dataclass(frozen=True)
class Waiting:
    """Quarantined rows of an earlier run, which are to be released.

    Attributes:
        version: of the quarantine, as the release began with it.
        frame: the rows as they are in the quarantine, protected.
    """

    of_run: str
    place: Location
    version: int
    frame: DataFrame
    rows: int


@dataclass(frozen=True)
class Pinned:
    """Source and references, held still. ``words`` describe what of them is read."""

    source: Pin
    references: Mapping[str, Pin]
    words: str
    replaces_all: bool
    """Whether no row of the target's present version stays."""
    refresh: Refresh | None = None
    waiting: Waiting | None = None

    @property
    def frames(self) -> dict[str, DataFrame]:
        """The references' rows by alias."""
        return {alias: pin.frame.drop(MALFORMED) for alias, pin in self.references.items()}

    def changed(self, spark: SparkSession) -> bool:
        """Whether any of them is no longer what was pinned."""
        return any(pin.changed(spark) for pin in (self.source, *self.references.values()))


@dataclass(frozen=True)
class Ready:
    """A run that preflight let through: the suite to judge and everything that was looked up before a row is read."""

    pinned: Pinned
    columns: ColumnPlan
    suite: Suite
    past: Past
    table: Declared | None
    schema_changes: tuple[str, ...]
    small: bool
    """Whether memory holds all rows easily."""
    memory: Memory | None
    """Whom the table has forgotten."""


@dataclass(frozen=True)
class Judged:
    """Verdicts on the repaired rows, and the counts that decide whether the run goes on."""

    ready: Ready
    judgement: Judgement
    mended: Mended
    words: str
    counted: Counted = field(default=Counted(0, 0, 0))
    dropped: int = 0
    """Rows that are kept nowhere."""

    @property
    def settled(self) -> list[list[Any]]:
        """What a rerun must find again: verdicts and repairs."""
        repairs = ([repair.treatment, repair.what, repair.count] for repair in self.mended.repairs)
        return [*self.judgement.settled, *repairs]

    def with_counts(self, contract: Contract, counted: Counted, forgotten: int) -> Judged:
        """Return the same with the rows counted. ``forgotten``: rows that were dropped before they were judged."""
        drops = contract.quarantine is not None and contract.quarantine.drop
        dropped = (counted.diverted if drops else 0) + forgotten
        return replace(self, counted=replace(counted, read=counted.read + forgotten), dropped=dropped)


@dataclass(frozen=True)
class Split:
    """Rows to publish and rows to divert, not yet protected.

    Attributes:
        released: IDs of quarantined rows that are among those to publish.
        expected: how many rows are to be published, where that is known.
    """

    good: DataFrame
    bad: DataFrame
    released: DataFrame | None = None
    expected: int | None = None


class Intake(Protocol):
    """The rows that a run takes in, and what follows from where they come from."""

    part_of_many: bool
    """Whether all rows may well be diverted, as they are a part of what the contract publishes."""
    beside: ClassVar[frozenset[str]]
    """The tables beside the target that the run writes: history, quarantine, changes, windows."""

    @property
    def releases(self) -> str | None:
        """The run whose quarantined rows are released."""

    def pin(self, ctx: Context) -> Pinned:
        """Hold source and references still."""

    def rows(self, ctx: Context, pinned: Pinned) -> DataFrame:
        """Return the rows to read."""

    def try_protections(self, ctx: Context, ready: Ready, mended: Mended) -> None:
        """Protect some rows before the long passes."""

    def judge(self, ctx: Context, ready: Ready, mended: Mended) -> Judged:
        """Judge every rule."""

    def count(self, ctx: Context, judged: Judged) -> Counted:
        """Count the rows of the source, those that the run takes in, and those to divert."""

    def split(self, ctx: Context, judged: Judged) -> Split:
        """Part the rows."""

    def marks(self, ctx: Context, pinned: Pinned) -> dict[str, Any]:
        """Write what belongs to the commits of this run, and return what they must say of it."""

    def swapped(self, pinned: Pinned) -> str | None:
        """Return SQL for the target's rows that give way; None for what the contract's mode says."""

    def nothing_left(self, judged: Judged, split: Split) -> Rows | None:
        """Return the account of a run that has no row to publish and ends without a version; None of any other."""

    def account(self, judged: Judged, split: Split, published: int, quarantined: int) -> Rows:
        """Account for every row."""

    def after_commit(self, ctx: Context, judged: Judged, split: Split) -> None:
        """Do what may be done only once the rows are in the target."""
