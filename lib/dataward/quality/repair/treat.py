"""Repair a frame in a fixed order: normalise, duplicates, outliers, missing.

Row-wise repairs and their counts are expressions of the scan that evaluates the rules on the repaired rows. Duplicates and
fences are computed once before it, and persisted until the run ends. Fences are computed after duplicates are diverted; means
and medians after outliers are treated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataward.contract.treatment import Treatment
from dataward.quality.duplicates.matching import clusters
from dataward.quality.flags import Alike, Flag, Outlying
from dataward.quality.internal import INTERNAL
from dataward.quality.metrics import Metric, Values
from dataward.quality.repair.duplicates import settle
from dataward.quality.repair.missing import Pattern, fill, patterns
from dataward.quality.repair.normalise import normalise
from dataward.quality.repair.outliers import fenced, tame
from dataward.quality.repair.working import WHY, Repair, Tally, Working
from dataward.quality.spread import Fences, Spreads
from dataward.spark.sql import identifier

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["Around", "Treated", "treat"]


@dataclass(frozen=True)
class Treated:
    """A repaired frame. Both frames hold the source's own columns, the helper columns of ``tallies``, and ``flags``.

    Attributes:
        frame: the repaired rows that stay.
        diverted: the rows for the quarantine, with :data:`WHY`.
        diverts: whether the contract's repairs can divert rows.
        tallies: what the repairs did to cells.
        flags: columns of rules that were computed with the repairs.
        spreads: the measured fences and centres.
        patterns: the most frequent sets of null columns, before filling.
        notes: warnings for the report.
        releases: functions that unpersist frames.
    """

    frame: DataFrame
    diverted: DataFrame
    diverts: bool
    tallies: tuple[Tally, ...]
    flags: tuple[str, ...]
    spreads: Spreads
    patterns: tuple[Pattern, ...]
    notes: tuple[str, ...]
    releases: tuple[Callable[[], object], ...]

    @property
    def internal(self) -> tuple[str, ...]:
        """Names of the helper columns."""
        return (*(tally.beside for tally in self.tallies), *self.flags)

    @property
    def metrics(self) -> list[Metric]:
        """Metrics that count the repairs."""
        return [metric for tally in self.tallies for metric in tally.metrics()]

    def repairs(self, *measured: Values) -> tuple[Repair, ...]:
        """Return the number of repairs, summed over the measured frames (rows that stay, and diverted rows)."""
        counts: Counter[Metric] = Counter()
        for values in measured:
            counts.update({metric: int(values.get(metric) or 0) for metric in self.metrics})
        counted = [(tally, what, counts[metric]) for tally in self.tallies for metric, what in tally.metrics().items()]
        return tuple(Repair(tally.treatment, tally.column, what, count) for tally, what, count in counted if count)

    def release(self) -> None:
        """Unpersist all frames."""
        for release in self.releases:
            release()


def _centres(how: Treatment) -> list[tuple[str, tuple[str, ...]]]:
    """Return (column, grouping columns) of the means and medians that replace missing values."""
    return [(name, missing.per) for name, missing in how.missing.items() if missing.with_ in ("mean", "median")]


def _held(working: Working, fences: Iterable[Fences], centres: Iterable[tuple[str, tuple[str, ...]]]) -> Spreads:
    """Measure fences and centres of the rows that stay so far, and persist them until the run ends."""
    spreads = Spreads.measured(working.frame.where(working.live()), fences, centres).held()
    working.releases.append(spreads.release)
    return spreads


def _early_spreads(working: Working, how: Treatment, outlying: Iterable[Outlying]) -> Spreads:
    """Measure the fences, and the centres of columns whose outliers stay."""
    fences = [*(fenced(name, outliers) for name, outliers in how.outliers.items()), *(flag.fences for flag in outlying)]
    return _held(working, fences, [centre for centre in _centres(how) if centre[0] not in how.outliers])


@dataclass(frozen=True)
class Around:
    """What repairs need beside the rows.

    Attributes:
        references: reference tables by name.
        unread: the column of records that Spark could not read; such rows stay unchanged.
        flags: the rules' flags; those of outliers and duplicates are computed with the repairs, over the same rows.
        small: memory holds the rows easily: they are repaired once, not in each pass over them.
    """

    references: Mapping[str, DataFrame]
    unread: str | None = None
    flags: tuple[Flag, ...] = ()
    small: bool = False


def treat(frame: DataFrame, how: Treatment, around: Around, spreads: Spreads | None = None) -> Treated:
    """Repair a frame.

    Args:
        frame: the source.
        how: the contract's repairs.
        around: what is beside it.
        spreads: fences of an earlier measurement, to be used instead of a new one.
    """
    references, flags, small = around.references, around.flags, around.small
    working = Working.of(frame, around.unread)
    for name, spelling in how.normalise.items():
        normalise(working, name, spelling)
    for name, duplicates in how.duplicates.items():
        settle(working, name, duplicates)
    if small:
        working.hold()
    outlying = [flag for flag in dict.fromkeys(flags) if isinstance(flag, Outlying)]
    spreads = _early_spreads(working, how, outlying) if spreads is None else spreads
    for name, outliers in how.outliers.items():
        tame(working, name, outliers, spreads)
    null_patterns = patterns(working) if how.missing else ()
    # The centre of a column whose outliers are treated is measured after that, in a pass of its own.
    late_spreads = _held(working, (), [centre for centre in _centres(how) if centre[0] in how.outliers])
    for name, missing in how.missing.items():
        fill(working, name, missing, late_spreads if name in how.outliers else spreads, references)
    for flag in outlying:
        working.frame = flag.within(spreads, working.frame)
    own = [*working.own, *([working.unread] if working.unread else [])]
    for alike in (flag for flag in dict.fromkeys(flags) if isinstance(flag, Alike)):
        live = working.frame.where(working.live()).select(*map(identifier, own))
        similar = clusters(live, alike.matching).held()
        working.releases.append(similar.release)
        working.frame = alike.within(similar, working.frame)
    if small:
        working.hold()
    helpers = [name for name in frame.columns if name.startswith(INTERNAL)]
    flagged = [flag.name for flag in dict.fromkeys(flags) if flag.name in working.frame.columns]
    names = [*map(identifier, own), *helpers] + [tally.beside for tally in working.tallies] + flagged
    return Treated(
        working.frame.where(f"size({WHY}) = 0").select(*names),
        working.frame.where(f"size({WHY}) > 0").select(*names, WHY),
        how.diverts,
        tuple(working.tallies),
        tuple(flagged),
        spreads,
        null_patterns,
        tuple(working.notes),
        tuple(working.releases),
    )
