"""Mode refresh: read and swap only the partitions whose source changed; reuse stored states for the others.

Beside the target, a table stores the **states** of its partitions: the numbers that metrics add up from, and the frequency of each
key, encrypted under the contract's key. A run compares the source's partitions with those of the stored states. New and changed
partitions are read; their states and the stored ones give the verdicts of the whole table. An unchanged partition is read as well
if a key of its rows has become a duplicate of another partition's key, or is no longer one.

The target's commit names its version of the states, so that both are swapped at once: states of a run that was
killed or stopped belong to no commit, and are ignored. Everything is read where no states can be reused: in the first run,
with a changed contract, another key, other references, another version of Dataward, or after somebody else wrote to the target.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.contract import Contract, Target
from dataward.errors import SourceChanged, TargetError
from dataward.integrity.canonical import sha256
from dataward.integrity.seal import code_version
from dataward.keys import KeyProvider
from dataward.keys.box import Box
from dataward.pipeline.plan import Plan
from dataward.pipeline.repair import Mended
from dataward.profiling import columns
from dataward.profiling.sketch import Sketch
from dataward.quality.engines import frequencies
from dataward.quality.engines.codes import LONG_BATCHES
from dataward.quality.engines.groups import groupings
from dataward.quality.engines.scan import aggregated
from dataward.quality.flags import Duplicate
from dataward.quality.metrics import (
    Metric,
    Numbers,
    Values,
    aggregates,
    is_grouped,
    measurable,
    merged,
    state,
    value,
)
from dataward.quality.metrics.keys import Counts, Grouping
from dataward.quality.metrics.kinds import of_counts
from dataward.quality.rules import RowRule
from dataward.quality.split import with_paths
from dataward.quality.suite import Suite
from dataward.spark.settings import settings
from dataward.spark.sql import column, identifier, literal
from dataward.spark.workers import without_delay
from dataward.tables import commits, delta
from dataward.tables.delta import Commit
from dataward.tables.partitions import parts_of_source
from dataward.tables.reason import reason
from dataward.tables.source import MALFORMED, Pin, loss_free

if TYPE_CHECKING:
    from datetime import datetime

    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Refresh", "sketches"]

SCHEMA = f"kind string, fingerprint string, {frequencies.BLOCKS}"
NUMBERS, KEYS, TOTALS, SKETCHES = "numbers", "keys", "totals", "sketches"
PROBES = 4_000_000
"""Most codes that the driver sends to the tasks for a search: 32 MB."""
(ROWS,) = aggregates(Metric("size"))
WHOLE = "all"
NO_FINGERPRINT = "cast(null as string) as fingerprint"


@dataclass(frozen=True)
class _Base:
    """The states to reuse: their run and version, and the fingerprint and numbers of each partition."""

    run_id: str
    version: int
    fingerprints: Mapping[str, str]
    numbers: Mapping[str, Numbers]
    totals: tuple[Counts, ...]


class Refresh:
    """Partitions of one run: those to read, the metrics from them and the stored states, and those to swap.

    Raises:
        SourceError: the source is not partitioned like the target.
    """

    def __init__(
        self,
        spark: SparkSession,
        plan: Plan,
        keys: KeyProvider,
        source: Pin,
        references: Mapping[str, Pin],
        earlier: dict[str, Any] | None,
    ) -> None:
        """Compare the partitions of the source with their states."""
        contract = plan.contract
        self.spark, self.contract, self.source = spark, contract, source
        domain = contract.keys.domain
        version = keys.current(domain)
        self.box = Box(keys.key("states", domain, version))
        self.parts = parts_of_source(spark, source, contract.target.partition_by)
        of = [plan.sha256, code_version(), domain, version, source.frame.schema.json()]
        zone = spark.conf.get("spark.sql.session.timeZone")
        self.made_by = sha256([*of, zone, {alias: pin.digest for alias, pin in references.items()}])
        self.base, self.why = self._base(earlier)
        before = self.base.fingerprints if self.base else {}
        now = {part: self.parts.fingerprint(part) for part in self.parts.files}
        self.fingerprints = now
        self.fresh = [part for part, mark in now.items() if before.get(part) != mark]
        self.gone = [part for part in before if part not in now]
        self.touched: list[str] = []
        self.numbers: dict[str, Numbers] = {}
        self.sets: list[Grouping] = []
        self.counts: dict[Grouping, Counts] = {}
        self.doubled: dict[Grouping, int] = {}
        self.blocks: DataFrame | None = None
        self.held: list[DataFrame] = []
        self.frames: dict[tuple[str, ...], DataFrame] = {}

    def __str__(self) -> str:
        """Return the number of partitions to read, as text."""
        words = f"{len(self.fresh)} of {len(self.fingerprints)} partitions to read"
        return words + (f", {len(self.gone)} gone" if self.gone else "") + (f" ({self.why})" if self.why else "")

    @property
    def also(self) -> str:
        """Further partitions to read, as text."""
        count = len(self.touched)
        return f"; {count} more partition{'s' * (count > 1)} to read for duplicates" if count else ""

    @property
    def read(self) -> list[str]:
        """Partitions to read."""
        return [*self.fresh, *self.touched]

    @property
    def frame(self) -> DataFrame:
        """The rows that are read; no file of another partition is opened."""
        return self._rows_of(self.read)

    def _rows_of(self, parts: Sequence[str]) -> DataFrame:
        if (wanted := tuple(sorted(parts))) not in self.frames:
            names = [name for part in wanted for name, _ in self.parts.files.get(part, ())]
            whole = loss_free(self.spark, self.source, names).frame
            some = set(wanted) != set(self.fingerprints)
            self.frames[wanted] = whole.where(self.parts.among(wanted)) if some else whole
        return self.frames[wanted]

    @property
    def rows(self) -> int:
        """Number of these rows."""
        return sum(_rows(self.numbers.get(part, {})) for part in self.read)

    @property
    def where(self) -> str | None:
        """SQL for the rows of the target that are swapped; None for all of them."""
        return self.parts.among([*self.read, *self.gone]) if self.base else None

    def release(self) -> None:
        """Unpersist all frames."""
        for frame in self.held:
            frame.unpersist()

    # stored states, and whether they can be reused

    def _base(self, earlier: dict[str, Any] | None) -> tuple[_Base | None, str]:
        """Return the states to reuse, or None with the reason; a rerun reuses the states that the run began with."""
        target, version = self.contract.target, earlier["states"]["before"] if earlier else None
        if earlier and version is None:
            return None, "as when the run began"
        commit, why = _last(self.spark, target, version)
        if commit is None:
            return None, why
        states = commit.metadata["states"]
        if states["made_by"] != self.made_by:
            return None, "the contract, its key, a reference, the source's columns or Dataward is another than before"
        try:
            return self._recalled(commit.metadata["run_id"], states["version"]), ""
        except Exception as error:
            return None, f"what partitions came to cannot be read: {reason(error)}"

    def _recalled(self, run_id: str, version: int) -> _Base:
        known = delta.read(self.spark, self.contract.states_location, version).where(
            f"kind in ('{NUMBERS}', '{TOTALS}')"
        )
        rows = known.select("kind", "part", "fingerprint", "state").collect()
        recalled = {
            (row.kind, row.part): json.loads(self.box.open(bytes(row.state), f"{row.kind} of {row.part}"))
            for row in rows
        }
        numbers = {part: state for (kind, part), state in recalled.items() if kind == NUMBERS}
        marks = {row.part: row.fingerprint for row in rows if row.kind == NUMBERS}
        return _Base(run_id, version, marks, numbers, tuple(Counts(*one) for one in recalled[TOTALS, WHOLE]))

    # metrics of the whole table

    def measure(self, frame: DataFrame, metrics: Iterable[Metric]) -> Values:
        """Return every metric of the whole table, from the rows that are read and the states of the others."""
        types = {field.name.lower(): field.dataType.typeName() for field in frame.schema.fields}
        wanted, failures = measurable(metrics, types)
        try:
            values = self._scanned(frame, [metric for metric in wanted if not is_grouped(metric)])
            of_sets = [metric for metric in wanted if is_grouped(metric)]
            if of_sets:
                values |= self._counted(frame, of_sets)
        except SourceChanged:
            raise
        except Exception as error:
            return Values({}, dict.fromkeys(wanted, f"the scan failed: {reason(error)}"))
        return Values(values, failures)

    def _scanned(self, frame: DataFrame, metrics: list[Metric]) -> dict[Metric, float | None]:
        fresh = aggregated(frame, metrics, self.parts.text) if self.fresh else {}
        if strangers := set(fresh) - set(self.fresh):
            raise SourceChanged(
                f"source {self.source.source}: {len(strangers)} partition(s) came in while it was read. Rerun"
            )
        before = self.base.numbers if self.base else {}
        kept = {part: before[part] for part in self.fingerprints if part not in self.fresh}
        # A partition without rows has no numbers.
        self.numbers = kept | {part: fresh.get(part, {}) for part in self.fresh}
        parts = [numbers for numbers in self.numbers.values() if numbers]
        if not parts:
            nothing = aggregated(frame.limit(0), metrics)[None]
            return {metric: value(metric, state(metric, nothing)) for metric in metrics}
        whole = {metric: merged(metric, [state(metric, one, parts=True) for one in parts]) for metric in metrics}
        return {metric: value(metric, of_all) for metric, of_all in whole.items()}

    def _counted(self, frame: DataFrame, metrics: list[Metric]) -> dict[Metric, float | None]:
        self.sets = groupings(metrics)
        self.blocks = frequencies.blocks(frame, self.sets, self.parts.text, self.box).persist()
        self.held.append(self.blocks)
        with settings(self.spark, LONG_BATCHES):
            self.blocks.count()
        with settings(self.spark, frequencies.FEW):
            found = self._together([]).mapInArrow(without_delay(frequencies.counting()), frequencies.COUNTS).collect()
        for number, grouping in enumerate(self.sets):
            rows = [row for row in found if row.grouping == number]
            before, now = (
                Counts.total([tuple(row[2:-1]) for row in rows if row.now == then]) for then in (False, True)
            )
            self.counts[grouping] = (self.base.totals[number] if self.base else Counts.total([])).moved(before, now)
            self.doubled[grouping] = sum(row.doubled for row in rows if row.now)
        return {metric: of_counts(metric, self.counts[Grouping.of(metric)]) for metric in metrics}

    def _together(self, also: list[str]) -> DataFrame:
        """Return the codes of earlier and present blocks, repartitioned so that equal codes are in one task.

        All codes of changed partitions, and of those named ``also``, are included; of the others, only codes equal to one of these.
        """
        from pyspark.sql import functions as F

        assert self.blocks is not None  # noqa: S101 - they were counted
        blocks = self.blocks.withColumn("side", F.lit(frequencies.FRESH))
        if self.base is None:
            rows = sum(map(_rows, self.numbers.values()))
            return frequencies.spread(blocks, rows * len(self.sets), self.box)
        known = delta.read(self.spark, self.contract.states_location, self.base.version).where(f"kind = '{KEYS}'")
        part, of = F.col("part"), {**self.base.numbers, **self.numbers}
        asked = [*self.fresh, *self.gone, *also]
        few = sum(_rows(of[name]) for name in asked) * len(self.sets) <= PROBES
        probing = [*self.blocks.collect(), *known.where(part.isin(asked)).collect()] if few else []
        other = F.when(part.isin([*self.fresh, *self.gone]), frequencies.GONE).otherwise(frequencies.KEPT)
        blocks = blocks.unionByName(known.withColumn("side", other).select(*blocks.columns))
        rows = sum(_rows(of[name]) for name in (asked if few else of))
        among = frequencies.probes(probing, self.box) if few else None
        return frequencies.spread(blocks, rows * len(self.sets), self.box, among)

    # the rows of duplicates

    def completed(
        self, suite: Suite, diverting: Iterable[RowRule], now: datetime, identified: Callable[[DataFrame], DataFrame]
    ) -> Mended:
        """Return the rows to split, those of touched partitions included, with a flag for duplicates in the whole table."""
        from pyspark.sql import functions as F

        rules = [rule for rule in suite.rules if isinstance(rule, RowRule) and not rule.warns_only and rule.flags()]
        of = {flag: self._set_of(rule, now) for rule in rules for flag in rule.flags() if isinstance(flag, Duplicate)}
        holders = self._holders([]) if any(self.doubled[grouping] for grouping in of.values()) else None
        if holders is not None:
            sets = [self.sets.index(grouping) for grouping in of.values()]
            moved = holders.where("kept and before <> now").where(F.col("grouping").isin(sets)).select("part")
            self.touched = sorted(row.part for row in moved.distinct().collect())
        if self.touched:  # their other duplicates are needed as well
            holders = self._holders(self.touched)
        frame, flags = identified(self.frame), []
        for flag in dict.fromkeys(flag for rule in diverting for flag in rule.flags() if isinstance(flag, Duplicate)):
            frame = self._flagged(frame, flag, of[flag], holders)
            flags.append(flag.name)
        return Mended(frame, flags=tuple(flags))

    def _set_of(self, rule: RowRule, now: datetime) -> Grouping:
        return next(Grouping.of(metric) for metric in rule.metrics(now) if is_grouped(metric))

    def _holders(self, also: list[str]) -> DataFrame:
        """Return each code that occurs, or occurred, more than once, with each partition that contains it."""
        holders = self._together(also).mapInArrow(without_delay(frequencies.holding()), frequencies.HOLDERS).persist()
        self.held.append(holders)
        with settings(self.spark, frequencies.FEW):
            holders.count()
        return holders

    def _flagged(self, frame: DataFrame, flag: Duplicate, grouping: Grouping, holders: DataFrame | None) -> DataFrame:
        """Return the frame with the column of a flag."""
        from pyspark.sql import functions as F

        if holders is None:
            return frame.withColumn(flag.name, F.lit(False))
        names = [f"{flag.name}_{half}" for half in ("a", "b", "hit")]
        mine = (F.col("grouping") == self.sets.index(grouping)) & F.col("now") & F.col("part").isin(self.read)
        keys = holders.where(mine).select(F.col("a").alias(names[0]), F.col("b").alias(names[1])).distinct()
        wide = with_paths(frame, flag.columns)
        codes = zip(frequencies.coded(wide, [grouping], self.box), names, strict=False)
        coded = wide.selectExpr(*map(identifier, frame.columns), *(f"{code} as {name}" for code, name in codes))
        joined = coded.join(keys.withColumn(names[2], F.lit(True)), names[:2], "left")
        return joined.withColumn(flag.name, F.coalesce(column(names[2]), F.lit(False))).drop(*names)

    # states for the next run

    def keep(self, run_id: str, contract_sha256: str) -> dict[str, Any]:
        """Write the states of this run, and return what its commit must record about them."""
        place, before = self.contract.states_location, self.base.version if self.base else None
        if before is not None and not (self.fresh or self.gone):
            return {"before": before, "version": before, "made_by": self.made_by}
        if before is not None and delta.latest_version(self.spark, place) != before:
            commits.restore_to(self.spark, place, before)
        rows = [(NUMBERS, self.fingerprints[part], part, None, self._shut(part)) for part in self.fresh]
        totals = json.dumps(
            [[one.rows, one.keys, one.single, one.largest, one.weight] for one in self.counts.values()]
        ).encode()
        rows.append((TOTALS, "", WHOLE, None, self.box.shut(totals, f"{TOTALS} of {WHOLE}")))
        frame = self.spark.createDataFrame(rows, SCHEMA)
        if self.blocks is not None:
            frame = frame.unionByName(self.blocks.selectExpr(f"'{KEYS}' as kind", NO_FINGERPRINT, "*"))
        if self.contract.target.profile:
            fresh = self._rows_of(self.fresh).drop(MALFORMED)
            seen = columns.kept(fresh, self.parts.text, self.box).withColumnRenamed("number", "grouping")
            frame = frame.unionByName(seen.selectExpr(f"'{SKETCHES}' as kind", NO_FINGERPRINT, "*"))
        swapped = ", ".join(literal(part) for part in [*self.fresh, *self.gone, WHOLE])
        app = f"{run_id}/{sha256([self.source.digest, before])[:16]}"
        metadata = {"contract": self.contract.contract, "contract_sha256": contract_sha256}
        where = None if before is None else f"part in ({swapped})"
        transaction = commits.Transaction(app, metadata)
        commit = commits.swap_once(
            self.spark, frame.repartition("kind", "part"), place, transaction, ("kind", "part"), where
        )
        return {"before": before, "version": commit.version, "made_by": self.made_by}

    def _shut(self, part: str) -> bytes:
        return self.box.shut(json.dumps(self.numbers[part]).encode(), f"{NUMBERS} of {part}")


def sketches(spark: SparkSession, contract: Contract, keys: KeyProvider) -> list[tuple[str, str, Sketch]]:
    """Return name, type and sketch of each column of the source from the target's newest refresh; no row is read.

    Raises:
        TargetError: no refresh has stored sketches, or they cannot be read.
    """
    place, domain = contract.states_location, contract.keys.domain
    commit, why = _last(spark, contract.target)
    if commit is None:
        raise TargetError(f"{contract.target}: what its partitions hold is not known: {why}. Publish first")
    try:
        known = delta.read(spark, place, commit.metadata["states"]["version"]).where(f"kind = '{SKETCHES}'")
        box = Box(keys.key("states", domain, keys.current(domain)))
        found = columns.whole(known.selectExpr("part", "grouping as number", "state"), box)
    except Exception as error:
        raise TargetError(f"{place}: what partitions hold cannot be read: {reason(error)}. Publish again") from None
    if not found:
        raise TargetError(f"{place}: the newest refresh kept nothing of what partitions hold. Publish first")
    return found


def _last(spark: SparkSession, target: Target, version: int | None = None) -> tuple[Commit | None, str]:
    """Return the newest commit of a refresh (of one that began with this version of the states), or None with the reason."""
    if not delta.exists(spark, target):
        return None, "the target is new"
    for commit in delta.commits(spark, target, limit=50):
        metadata = commit.metadata
        if "states" in metadata and version in (None, metadata["states"]["version"]):
            return commit, ""
        foreign = commit.operation not in delta.ROW_NEUTRAL and "run_id" not in metadata
        another = "source" in metadata and "releases" not in metadata and "states" not in metadata
        if foreign or another:
            return None, f"version {commit.version} of the target ({commit.operation}) was not written by a refresh"
    return None, "no refresh of the target is in its log"


def _rows(numbers: Numbers) -> int:
    """Return the number of rows of a partition; 0 if it has no numbers."""
    return int(numbers.get(ROWS) or 0)
