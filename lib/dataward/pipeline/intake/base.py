"""The frozen intermediate results of a run, and the interface of an intake."""

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
    """Quarantined rows of an earlier run that are to be released.

    Attributes:
        version: version of the quarantine at the start of the release.
        frame: the protected rows of the quarantine.
    """

    of_run: str
    place: Location
    version: int
    frame: DataFrame
    rows: int


@dataclass(frozen=True)
class Pinned:
    """Pinned source and references. ``words`` describe the rows that are read."""

    source: Pin
    references: Mapping[str, Pin]
    words: str
    replaces_all: bool
    """Whether the run replaces all rows of the target."""
    refresh: Refresh | None = None
    waiting: Waiting | None = None

    @property
    def frames(self) -> dict[str, DataFrame]:
        """The references' rows by alias."""
        return {alias: pin.frame.drop(MALFORMED) for alias, pin in self.references.items()}

    def changed(self, spark: SparkSession) -> bool:
        """Return whether the source or a reference differs from its pinned version."""
        return any(pin.changed(spark) for pin in (self.source, *self.references.values()))


@dataclass(frozen=True)
class Ready:
    """A run that passed preflight: the suite to judge and all inputs that were looked up before a row is read."""

    pinned: Pinned
    columns: ColumnPlan
    suite: Suite
    past: Past
    table: Declared | None
    schema_changes: tuple[str, ...]
    small: bool
    """Whether all rows easily fit into memory."""
    memory: Memory | None
    """People whom the table has forgotten."""


@dataclass(frozen=True)
class Judged:
    """Verdicts on the repaired rows, and the counts that decide whether the run goes on."""

    ready: Ready
    judgement: Judgement
    mended: Mended
    words: str
    counted: Counted = field(default=Counted(0, 0, 0))
    dropped: int = 0
    """Rows that are stored nowhere."""

    @property
    def reproducible(self) -> list[list[Any]]:
        """Verdicts and repairs that a rerun must reproduce."""
        repairs = ([repair.treatment, repair.what, repair.count] for repair in self.mended.repairs)
        return [*self.judgement.reproducible, *repairs]

    def with_counts(self, contract: Contract, counted: Counted, forgotten: int) -> Judged:
        """Return a copy with the rows counted. ``forgotten``: rows dropped before the rules judged."""
        drops = contract.quarantine is not None and contract.quarantine.drop
        dropped = (counted.diverted if drops else 0) + forgotten
        return replace(self, counted=replace(counted, read=counted.read + forgotten), dropped=dropped)


@dataclass(frozen=True)
class Split:
    """Rows to publish and rows to divert, not yet protected.

    Attributes:
        released: IDs of quarantined rows that are among the rows to publish.
        expected: number of rows to publish, where it is known.
    """

    good: DataFrame
    bad: DataFrame
    released: DataFrame | None = None
    expected: int | None = None


class Intake(Protocol):
    """The rows that a run takes in, and the steps that depend on their origin."""

    part_of_many: bool
    """Whether all rows may be diverted, as they are only a part of the contract's rows."""
    beside: ClassVar[frozenset[str]]
    """The tables beside the target that the run writes: history, quarantine, changes, windows."""

    @property
    def releases(self) -> str | None:
        """The run whose quarantined rows are released."""

    def pin(self, ctx: Context) -> Pinned:
        """Pin source and references."""

    def rows(self, ctx: Context, pinned: Pinned) -> DataFrame:
        """Return the rows to read."""

    def try_protections(self, ctx: Context, ready: Ready, mended: Mended) -> None:
        """Protect some rows before the long passes."""

    def judge(self, ctx: Context, ready: Ready, mended: Mended) -> Judged:
        """Judge every rule."""

    def count(self, ctx: Context, judged: Judged) -> Counted:
        """Count the rows of the source, those that the run takes in, and those to divert."""

    def split(self, ctx: Context, judged: Judged) -> Split:
        """Split the rows into rows to publish and rows to divert."""

    def marks(self, ctx: Context, pinned: Pinned) -> dict[str, Any]:
        """Write the records that belong to the commits of this run, and return what the commits must contain about them."""

    def swapped(self, pinned: Pinned) -> str | None:
        """Return SQL for the rows of the target to replace; None for those of the contract's mode."""

    def nothing_left(self, judged: Judged, split: Split) -> Rows | None:
        """Return the account of a run that has no row to publish and ends without a version; None for any other run."""

    def account(self, judged: Judged, split: Split, published: int, quarantined: int) -> Rows:
        """Account for every row."""

    def after_commit(self, ctx: Context, judged: Judged, split: Split) -> None:
        """Do the steps that must follow the target's commit."""
