"""Repair rows before the rules judge: the repaired rows, the verdicts before, and the repairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from dataward.contract import Contract, Treatment
from dataward.contract.reserved import FAILED_COLUMNS, FAILED_RULES, MALFORMED
from dataward.errors import did_you_mean
from dataward.pipeline.refusals import fitting
from dataward.privacy.erased import ERASED
from dataward.privacy.protect import ColumnPlan
from dataward.quality.engines import spark as dataframes
from dataward.quality.flags import Alike, Flag, Outlying
from dataward.quality.internal import SOURCE_ROW
from dataward.quality.judge import Judgement, Options, Verdict, judge
from dataward.quality.metrics import Metric
from dataward.quality.repair.changes import WAS, images, remembered
from dataward.quality.repair.missing import Pattern
from dataward.quality.repair.treat import Around, Treated, treat
from dataward.quality.repair.working import WHY, Repair
from dataward.quality.rules import RowRule
from dataward.quality.split import split
from dataward.quality.suite import Suite
from dataward.spark.sql import column, identifier
from dataward.tables.source import pin

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from dataward.pipeline.context import Context
    from dataward.pipeline.intake.base import Ready

SUGGESTED = 10
"""Most texts of a column that a suggestion lists."""

__all__ = ["Mended", "mend", "repaired", "steps", "to_mend"]


@dataclass(frozen=True)
class Mended:
    """``frame``: the rows to judge. ``before``: the verdicts on the source, and its number of rows."""

    frame: DataFrame
    treated: Treated | None = None
    before: Judgement | None = None
    repairs: tuple[Repair, ...] = ()
    rows_diverted: int = 0
    suggestions: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()  # columns of the frame that were measured before the split

    def changes(self, columns: ColumnPlan) -> DataFrame | None:
        """Return both images of every repaired row, unprotected; None where the contract does not keep them."""
        if self.treated is None or not columns.contract.treat.changes:
            return None
        everything = self.treated.frame.unionByName(self.treated.diverted.drop(WHY))
        return images(everything, self.treated.tallies, columns.readable, [SOURCE_ROW])

    @property
    def internal(self) -> tuple[str, ...]:
        """Columns that are not in the source."""
        return (MALFORMED, ERASED, SOURCE_ROW, WAS, *self.flags, *(self.treated.internal if self.treated else ()))

    @property
    def plain(self) -> DataFrame:
        """The frame without columns that are not in the source."""
        return self.frame.drop(*self.internal)

    @property
    def metrics(self) -> list[Metric]:
        """Metrics that count the repairs."""
        return self.treated.metrics if self.treated else []

    @property
    def verdicts_before(self) -> tuple[Verdict, ...]:
        """Verdicts before the repairs."""
        return self.before.verdicts if self.before else ()

    def counted(self, columns: ColumnPlan, judged: Judgement) -> Mended:
        """Return a copy with the repairs counted; a separate job where repairs diverted rows."""
        if self.treated is None or self.before is None:
            return self
        gone = self.before.rows - judged.rows
        of_diverted = [dataframes.measure(self.treated.diverted, self.metrics)] if gone and self.metrics else []
        repairs = self.treated.repairs(judged.counted, *of_diverted)
        unknown = [repair.column for repair in repairs if repair.what == "unknown" and repair.column]
        shown = [name for name in unknown if not columns.of(name).sensitive]
        lines = [line for name in shown for line in self._suggestions(columns.contract, name)]
        return replace(self, repairs=repairs, rows_diverted=gone, suggestions=tuple(lines))

    def _suggestions(self, contract: Contract, name: str) -> Iterator[str]:
        """Yield the most frequent texts of a column outside of its categories, each with the likely category: one job."""
        from pyspark.sql import functions as F

        assert self.treated is not None  # noqa: S101 - something was counted
        how = next(one for column, one in contract.treat.normalise.items() if column.lower() == name.lower())
        beside = next(tally.beside for tally in self.treated.tallies if tally.treatment == f"normalise.{name}")
        frame = self.treated.frame if how.else_ == "keep" else self.treated.diverted
        texts = frame.where(f"{beside} = 'unknown'").groupBy(column(name).alias("text")).count()
        spelled = [text for category, some in how.values.items() for text in (category, *some)]
        for row in texts.where("text is not null").orderBy(F.desc("count"), "text").limit(SUGGESTED).collect():
            meant = did_you_mean(row["text"], spelled)
            line = f"normalise.{name}: '{row['text']}' ({row['count']:,} rows) is in no category"
            yield f"{line}; {meant}" if meant else line

    def parted(self, diverting: Sequence[RowRule], now: datetime) -> tuple[DataFrame, DataFrame]:
        """Return (rows to publish, rows to divert with the reasons of rules and repairs), identified by their source row."""
        beside = [name for name in self.internal if name != SOURCE_ROW]
        good, bad = (frame.drop(*beside) for frame in split(self.frame, diverting, now))
        if self.treated is not None and self.treated.diverts:
            reasons = {
                FAILED_RULES: f"transform({WHY}, x -> x.what)",
                FAILED_COLUMNS: f"array_distinct(flatten(transform({WHY}, x -> x.columns)))",
            }
            more = self.treated.diverted.selectExpr("*", *(f"{sql} as {name}" for name, sql in reasons.items()))
            bad = bad.unionByName(more.drop(*beside, WHY))
        return good, bad

    def release(self) -> None:
        """Unpersist all frames."""
        if self.treated is not None:
            self.treated.release()

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """The most frequent sets of null columns."""
        return self.treated.patterns if self.treated else ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Warnings for the report."""
        return (*(self.treated.notes if self.treated else ()), *self.suggestions)

    @property
    def begun(self) -> str:
        """The findings before the repairs, for the progress line."""
        failed = [verdict for verdict in self.verdicts_before if verdict.action != "none"]
        return f"before: {len(failed)} of {len(self.verdicts_before)} rules fail" if self.before else "fences measured"


def steps(how: Treatment) -> list[tuple[str, str]]:
    """Return (cost, treatment) of every repair of a contract, in order."""
    found = [
        ("with the scan" if not one.unicode else "Arrow", f"normalise.{name}") for name, one in how.normalise.items()
    ]
    found += [
        ("a shuffle" if one.on else "blocks, before", f"duplicates.{name}") for name, one in how.duplicates.items()
    ]
    found += [("fences, before", f"outliers.{name}: {one.method}, {one.do}") for name, one in how.outliers.items()]
    for name, one in how.missing.items():
        word = (
            one.with_ or one.from_ or ("lookup" if one.lookup else "constant" if one.constant is not None else "divert")
        )
        cost = {"mean": "a pass before", "median": "a pass before", "mode": "a shuffle", "lookup": "a join"}
        cost |= {"previous": "a shuffle", "next": "a shuffle"}
        found.append((cost.get(word, "with the scan"), f"missing.{name}: {word}"))
    return found


def to_mend(contract: Contract, suite: Suite) -> bool:
    """Return whether there is anything to repair, or to measure before the rules can judge."""
    return bool(contract.treat or _flags(suite))


def _flags(suite: Suite) -> list[Flag]:
    return [flag for rule in suite.rules for flag in rule.flags() if isinstance(flag, Outlying | Alike)]


def mend(ctx: Context, ready: Ready, frame: DataFrame) -> Mended:
    """Apply the contract's repairs, and measure the fences and clusters that the rules need, once.

    Raises:
        RunError: a block of possible duplicates is too large.
    """
    spark, contract, suite, now = ctx.spark, ctx.contract, ready.suite, ctx.now
    references, past = ready.pinned.frames, ready.past
    before = None
    if contract.treat:
        # A rule for a date may not fit the text before its conversion.
        fit = Suite(tuple(fitting(spark, suite.rules, frame, references, now)))
        own = (MALFORMED, ERASED, SOURCE_ROW)
        options = Options(contract.engine, references, internal=own, past=past, seconds=contract.limits.seconds)
        before = judge(spark, frame, fit, now, options)
    if contract.treat.changes:
        frame = remembered(frame, (name for name in frame.columns if name not in (MALFORMED, ERASED, SOURCE_ROW)))
    treated = treat(frame, contract.treat, Around(references, MALFORMED, tuple(_flags(suite)), ready.small))
    return Mended(treated.frame, treated, before)


def repaired(spark: SparkSession, contract: Contract, frame: DataFrame) -> DataFrame:
    """Return all rows of a source after its repairs, including diverted rows."""
    if not contract.treat:
        return frame.drop(MALFORMED)
    references = {alias: pin(spark, place).frame.drop(MALFORMED) for alias, place in contract.references.items()}
    treated = treat(frame, contract.treat, Around(references, MALFORMED))
    own = [identifier(name) for name in frame.columns if name != MALFORMED]
    return treated.frame.select(*own).unionByName(treated.diverted.select(*own))
