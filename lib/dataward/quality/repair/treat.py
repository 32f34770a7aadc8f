"""Everything that is repaired, in one order: normalise, duplicates, outliers, missing.

Row-wise repairs are columns of the scan that judges the repaired rows, and so are their counts. Duplicates and fences are
found once, before, and held by Spark until the run is over. Fences are of the rows as they are after duplicates have left; a
mean or median is of what outliers have left.
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
from dataward.quality.spread import Spreads
from dataward.sql import identifier

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["Treated", "treat"]


@dataclass(frozen=True)
class Treated:
    """``frame``: the rows that go on, repaired. ``diverted``: those that do not, with :data:`WHY`.

    Both hold, beside the source's own columns, what was done to each cell (``tallies``) and the flags of rules.
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
        return (*(tally.beside for tally in self.tallies), *self.flags)

    @property
    def metrics(self) -> list[Metric]:
        """What to measure beside the rules, for the repairs to be counted."""
        return [metric for tally in self.tallies for metric in tally.metrics()]

    def repairs(self, *measured: Values) -> tuple[Repair, ...]:
        """What was done, as counted among the rows that go on and among those that do not."""
        counts: Counter[Metric] = Counter()
        for values in measured:
            counts.update({metric: int(values.get(metric) or 0) for metric in self.metrics})
        found = [(tally, what, counts[metric]) for tally in self.tallies for metric, what in tally.metrics().items()]
        return tuple(Repair(tally.treatment, tally.column, what, count) for tally, what, count in found if count)

    def release(self) -> None:
        for let_go in self.releases:
            let_go()


def _centres(how: Treatment) -> list[tuple[str, tuple[str, ...]]]:
    """Columns and groups whose mean or median stands in."""
    return [(name, one.per) for name, one in how.missing.items() if one.with_ in ("mean", "median")]


def treat(
    frame: DataFrame,
    how: Treatment,
    references: Mapping[str, DataFrame],
    unread: str | None = None,
    flags: Iterable[Flag] = (),
    spreads: Spreads | None = None,
) -> Treated:
    """Repair a frame.

    ``unread`` names the column of records that could not be read (such rows are left alone); ``flags`` are those of the rules,
    which are judged by the same fences; ``spreads`` are fences measured before.
    """
    working = Working.of(frame, unread)
    for column, one in how.normalise.items():
        normalise(working, column, one)
    for name, two in how.duplicates.items():
        settle(working, name, two)
    outlying = [flag for flag in dict.fromkeys(flags) if isinstance(flag, Outlying)]
    if spreads is None:
        live = working.frame.where(working.live())
        centres = [one for one in _centres(how) if one[0] not in how.outliers]
        fences = [*(fenced(name, one) for name, one in how.outliers.items()), *(flag.fences for flag in outlying)]
        spreads = Spreads.measured(live, fences, centres).held()
        working.releases.append(spreads.release)
    for name, three in how.outliers.items():
        tame(working, name, three, spreads)
    lacking = patterns(working) if how.missing else ()
    # A mean is one of the numbers that outliers have left, so it wants a pass of its own.
    late = Spreads.measured(
        working.frame.where(working.live()), (), [one for one in _centres(how) if one[0] in how.outliers]
    ).held()
    working.releases.append(late.release)
    for name, four in how.missing.items():
        fill(working, name, four, late if name in how.outliers else spreads, references)
    for flag in outlying:
        working.frame = flag.within(spreads, working.frame)
    own = [*working.own, *([working.unread] if working.unread else [])]
    for alike in (flag for flag in dict.fromkeys(flags) if isinstance(flag, Alike)):
        live = working.frame.where(working.live()).select(*map(identifier, own))
        found = clusters(live, alike.matching).held()
        working.releases.append(found.release)
        working.frame = alike.within(found, working.frame)
    given = [name for name in frame.columns if name.startswith(INTERNAL)]
    beside = [flag.name for flag in dict.fromkeys(flags) if flag.name in working.frame.columns]
    names = [*map(identifier, own), *given] + [tally.beside for tally in working.tallies] + beside
    return Treated(
        working.frame.where(f"size({WHY}) = 0").select(*names),
        working.frame.where(f"size({WHY}) > 0").select(*names, WHY),
        how.diverts,
        tuple(working.tallies),
        tuple(beside),
        spreads,
        lacking,
        tuple(working.notes),
        tuple(working.releases),
    )
