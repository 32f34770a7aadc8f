"""Suggest rules for a table without rules, each one tested first; list the corruptions that no rule notices.

Rules are derived from a profile of four fifths of the rows (and from PyDeequ's suggestions), and tested on other loads:
four slices of the rest, the whole table, and earlier versions of a Delta table. A rule with a false alarm is left out.
Then the table is corrupted in typical ways, and each rule lists the corruptions that it notices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dataward.contract import CustomDetector, Source
from dataward.errors import DatawardError, SourceError
from dataward.pipeline.guard import guarded
from dataward.pipeline.plan import Plan
from dataward.pipeline.repair import repaired
from dataward.privacy.discover.custom import with_custom
from dataward.profiling.column import ColumnProfile
from dataward.profiling.suggest.candidates import CATEGORIES, Candidate, candidates
from dataward.profiling.suggest.corruptions import corruptions
from dataward.profiling.suggest.deequ import suggested
from dataward.quality.conditions import quoted
from dataward.quality.engines.copies import Copies
from dataward.quality.judge import Judgement, Options, judge, needed_flags
from dataward.quality.rules import Rule
from dataward.quality.suite import Suite, suite
from dataward.spark.held import persisted
from dataward.spark.java_side import DEEQU, has_class
from dataward.spark.session import isolated
from dataward.spark.sql import identifier
from dataward.tables import delta
from dataward.tables.reading import counted
from dataward.tables.reason import reason
from dataward.tables.source import MALFORMED, Pin, pin
from dataward.verbs.discover import as_source
from dataward.verbs.profile import profiled

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Suggested", "Suggestions", "mutate", "others", "suggest"]

SLICES, HELD = 20, 4  # number of parts of the rows by hash, and of parts that are loads for tests
VERSIONS = 3  # earlier versions to test
LOAD = 50_000  # rows to corrupt
BAD = ("FAILED", "ERRORED")


@dataclass(frozen=True)
class Suggested:
    """A rule, its reason, the number of ``loads`` with a false alarm, and the corruptions that it notices."""

    rule: str
    why: str
    alarms: int
    loads: int
    caught: tuple[str, ...] = ()


@dataclass(frozen=True)
class Suggestions:
    """``rules`` had no false alarm, ``left_out`` did; ``unnoticed``: the corruptions that no rule notices, of ``tried``."""

    source: str
    rows: int
    rules: tuple[Suggested, ...]
    left_out: tuple[Suggested, ...]
    tried: int
    unnoticed: tuple[str, ...]


@dataclass(frozen=True)
class _Tried:
    """``names`` of the tested corruptions, and those that each rule ``caught``."""

    names: tuple[str, ...]
    caught: tuple[tuple[str, ...], ...]

    @property
    def unnoticed(self) -> tuple[str, ...]:
        noticed = {name for names in self.caught for name in names}
        return tuple(name for name in self.names if name not in noticed)


@guarded("suggest")
def suggest(
    spark: SparkSession,
    source: Source | str,
    custom: Mapping[str, CustomDetector] | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Suggestions:
    """Suggest rules for one table, given as a source, a path or a name of the catalog.

    Raises:
        SourceError: the table cannot be read, or has no rows.
    """
    with isolated(spark) as own, ExitStack() as held:
        given = as_source(own, source)
        with _readable(given):
            return _suggested(own, held, pin(own, given), custom or {}, progress)


@contextmanager
def _readable(source: Source) -> Iterator[None]:
    """Convert Spark's errors to SourceError."""
    try:
        yield
    except DatawardError:
        raise
    except Exception as error:
        raise SourceError(f"source {source}: {reason(error)}") from None


def _suggested(
    spark: SparkSession,
    held: ExitStack,
    pinned: Pin,
    custom: Mapping[str, CustomDetector],
    progress: Callable[[str], None],
) -> Suggestions:
    now = datetime.now(timezone.utc)
    frame = pinned.frame.drop(MALFORMED)
    rows = _counted(pinned, progress)
    part = f"pmod(xxhash64({', '.join(_hashable(frame))}), {SLICES})"
    progress("profiling four fifths of the rows")
    columns, correlated = profiled(frame.where(f"{part} >= {HELD}"), with_custom(custom), keys=True)
    load = _load(frame, rows, held)
    readable = [identifier(column.name) for column in columns if not column.sensitive]
    ours = candidates(columns, [(one.one, one.other, one.value) for one in correlated], rows)
    theirs = others(ours, suggested(spark, load.frame.select(*readable)), columns) if has_class(spark, DEEQU) else []
    # A value that DQDL cannot express, such as one that ends in a backslash, makes no rule.
    made = {one: rule for one in (*ours, *theirs) for rule in suite(f"Rules = [ {one.rule} ]")[0].rules}
    loads = [(frame.where(f"{part} = {n}"), False) for n in range(HELD)] + [(frame, True)]
    loads += [(one, True) for one in _earlier(spark, pinned, frame.columns)]
    progress(f"trying {len(made)} rules on {len(loads)} loads")
    alarms: dict[Candidate, list[bool]] = {one: [] for one in made}
    for rows_of, whole in loads:
        asked = {one: rule for one, rule in made.items() if whole or rule.name != "RowCount"}
        judged = judge(spark, rows_of, Suite(tuple(asked.values())), now, Options("spark"))
        for one, verdict in zip(asked, judged.verdicts, strict=True):
            # A rule with a threshold expects some rows to fail.
            diverts = bool(verdict.failed_rows) and asked[one].statement.threshold is None
            alarms[one].append(verdict.outcome in BAD or diverts)
    kept = [one for one in made if not any(alarms[one])]
    tried = _tried(spark, load, [made[one] for one in kept], Options("spark"), progress)
    rules = (
        Suggested(one.rule, one.why, 0, len(alarms[one]), caught)
        for one, caught in zip(kept, tried.caught, strict=True)
    )
    left_out = (
        Suggested(one.rule, one.why, sum(outcomes), len(outcomes)) for one, outcomes in alarms.items() if any(outcomes)
    )
    return Suggestions(pinned.described, rows, tuple(rules), tuple(left_out), len(tried.names), tried.unnoticed)


@guarded("suggest")
def mutate(spark: SparkSession, plan: Plan, progress: Callable[[str], None] = lambda line: None) -> Suggestions:
    """Find which corruptions of its source the rules of a contract notice, repairs included.

    Raises:
        SourceError: the source cannot be read, or has no rows.
    """
    contract = plan.contract
    with isolated(spark) as own, ExitStack() as held, _readable(contract.source):
        pinned = pin(own, contract.source)
        references = {alias: pin(own, place).frame.drop(MALFORMED) for alias, place in contract.references.items()}
        frame = pinned.frame.drop(MALFORMED)
        rows = _counted(pinned, progress)
        load = _load(frame, rows, held)

        def mended(one: DataFrame) -> DataFrame:
            return repaired(own, contract, one)

        tried = _tried(own, load, plan.suite.rules, Options("spark", references), progress, mended)
    rules = (
        Suggested(rule.text, "", 0, 0, caught) for rule, caught in zip(plan.suite.rules, tried.caught, strict=True)
    )
    return Suggestions(pinned.described, rows, tuple(rules), (), len(tried.names), tried.unnoticed)


def _counted(pinned: Pin, progress: Callable[[str], None]) -> int:
    rows, warnings = counted(pinned.frame)
    if not rows:
        raise SourceError(f"source {pinned.source}: there are no rows to try rules on")
    for warning in warnings:
        progress(f"WARNING: {warning}")
    return rows


def _hashable(frame: DataFrame) -> list[str]:
    return [
        f"to_json({identifier(name)})" if kind.startswith(("map", "struct", "array")) else identifier(name)
        for name, kind in frame.dtypes
    ]


@dataclass(frozen=True)
class _Load:
    """Cached rows to corrupt, and their share of all rows."""

    frame: DataFrame
    fraction: float


def _load(frame: DataFrame, rows: int, held: ExitStack) -> _Load:
    """Return cached rows to corrupt, and their share of all rows."""
    fraction = min(1.0, LOAD / rows)
    load = frame if fraction == 1 else frame.sample(fraction, 0)
    if (kept := persisted(load)) is not None:
        held.callback(kept.unpersist)
    return _Load(kept or load, fraction)


def others(ours: Iterable[Candidate], theirs: Iterable[Candidate], columns: Iterable[ColumnProfile]) -> list[Candidate]:
    """Return the suggestions of PyDeequ that are not among ours.

    Lists of values are left out where the values are no categories: texts that are numbers or times, of which the next load has others.
    """
    known = {" ".join(one.rule.split()[:2]) for one in ours}
    known |= {f"IsComplete {rule.split()[1]}" for rule in known if rule.startswith("IsPrimaryKey")}
    known |= {f"IsUnique {rule.split()[1]}" for rule in known if rule.startswith("IsPrimaryKey")}
    open_ended = [column for column in columns if column.inferred or column.distinct > CATEGORIES]
    lists = tuple(f"ColumnValues {quoted(column.name)} in [" for column in open_ended)
    return [one for one in theirs if " ".join(one.rule.split()[:2]) not in known and not one.rule.startswith(lists)]


def _earlier(spark: SparkSession, pinned: Pin, columns: Sequence[str]) -> list[DataFrame]:
    """Return the newest earlier versions of a Delta table that have the same columns."""
    found: list[DataFrame] = []
    if pinned.version is None:
        return found
    for commit in delta.history(spark, pinned.source):
        if commit.version >= pinned.version or not commit.rows or len(found) == VERSIONS:
            continue
        frame = delta.read(spark, pinned.source, commit.version)
        if set(columns) <= set(frame.columns):
            found.append(frame)
    return found


def _tried(
    spark: SparkSession,
    load: _Load,
    rules: Sequence[Rule],
    options: Options,
    progress: Callable[[str], None],
    mended: Callable[[DataFrame], DataFrame] = lambda frame: frame,
) -> _Tried:
    now, fraction, load_rows = datetime.now(timezone.utc), load.fraction, load.frame
    asked = Suite(tuple(_scaled(rule, fraction) for rule in rules))

    tried = list(corruptions(load_rows))
    progress(f"corrupting {load_rows.count():,} rows in {len(tried)} ways")
    frames = [mended(rows) for rows in (load_rows, *(corruption.done(load_rows) for corruption in tried))]
    copies = Copies(frames, [name for rule in asked.rules for name in rule.columns])
    flagged = bool(needed_flags(asked.typed(frames[0]).rules, now))
    judged = [
        judge(
            spark,
            frame,
            asked,
            now,
            # Row flags are relative to a variant, so each variant is measured by itself.
            options if flagged else replace(options, measure=copies.measuring(number)),
        )
        for number, frame in enumerate(frames)
    ]
    before, *after = judged
    notices = [_noticed(before, seen, corruption.rows) for seen, corruption in zip(after, tried, strict=True)]
    names = tuple(corruption.name for corruption in tried)
    caught = (
        tuple(name for name, seen in zip(names, of_rule, strict=True) if seen) for of_rule in zip(*notices, strict=True)
    )
    return _Tried(names, tuple(caught))


def _noticed(before: Judgement, after: Judgement, times: float) -> list[bool]:
    """Return for each rule whether it now fails, or diverts more rows; ``times`` is the factor of the number of rows."""
    found = []
    for then, now in zip(before.verdicts, after.verdicts, strict=True):
        worse = now.outcome in BAD and then.outcome not in BAD
        found.append(worse or (now.failed_rows or 0) > (then.failed_rows or 0) * times * 1.05 + 1)
    return found


def _scaled(rule: Rule, fraction: float) -> Rule:
    """Scale a rule about the number of rows to a sample."""
    said: Any = rule.statement
    if fraction == 1 or rule.name != "RowCount" or not all(isinstance(one, Decimal) for one in said.condition.operands):
        return rule
    fewer = tuple(one * Decimal(repr(fraction)) for one in said.condition.operands)
    return replace(rule, statement=replace(said, condition=replace(said.condition, operands=fewer)))
