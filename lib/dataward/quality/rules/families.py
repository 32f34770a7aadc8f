"""Families of rules: what is measured, and by whom.

A **row rule** has an outcome for every row: pass, fail, or skip (``where`` is not met, or the rule ignores null). Rows that fail go
to the quarantine. Its measured value is the share of rows that pass among those not skipped. Both come from
:meth:`RowRule.applies` and :meth:`RowRule.predicate`, so that they always agree.

A **table rule** has one number, computed from metrics that an engine measures. A **probe** also has one number, but measures it
itself: in the schema, in files, in a query, in another table. When the number does not meet the rule's :meth:`Rule.bound`, the
run stops.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

from dataward.quality.conditions import Condition
from dataward.quality.metrics import Kind, Metric, Values
from dataward.quality.rules.base import ALL, Rule
from dataward.spark.compare import Value
from dataward.spark.sql import definite

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Finding", "Probe", "RowRule", "Scene", "TableRule", "ValueRule"]


@dataclass(frozen=True)
class Scene:
    """Data that a probe may read.

    Attributes:
        spark: the session.
        frame: the source.
        columns: Spark's simple type of each of the source's own columns.
        references: reference tables by alias.
        values: metrics that the engine measured.
        now: time of the run.
        allow: function that calls a probe within the time limit of a rule.
    """

    spark: SparkSession
    frame: DataFrame
    columns: Mapping[str, str]
    references: Mapping[str, DataFrame]
    values: Values
    now: datetime
    allow: Callable[[str, Callable[[], Finding]], Finding] = lambda name, what: what()


@dataclass(frozen=True)
class Finding:
    """A probe's number (a decimal where exact; None: no value) and further text for the verdict, without data."""

    measured: float | Decimal | None
    detail: str = ""


class TableRule(Rule):
    """A rule about the whole table; by default, its number is the metric of its ``kind``."""

    kind: ClassVar[Kind]

    def metrics(self, now: datetime) -> tuple[Metric, ...]:
        """Return the metrics that an engine must measure."""
        return (Metric(self.kind, self.columns, self.statement.where),)

    def measure(self, values: Values, now: datetime) -> float | None:
        """Return the number from the measured metrics."""
        return values[self.metrics(now)[0]]

    def detail(self, values: Values, now: datetime) -> str:
        """Return further text for the verdict, without data."""
        return ""


class Probe(Rule):
    """A rule that measures its number itself."""

    takes_where = False
    reads: ClassVar[str] = "schema"  # kind of data: schema, query, reference or files

    @property
    def columns(self) -> tuple[str, ...]:
        """No columns: parameters are no columns, or the absence of the column is the outcome."""
        return ()

    def probe(self, scene: Scene) -> Finding:
        """Measure the number.

        Raises:
            Unmeasured: it cannot be measured; the message holds no data.
        """
        raise NotImplementedError


class RowRule(Rule):
    """A rule that every row passes, fails, or skips."""

    tags: ClassVar[frozenset[str]] = frozenset({"threshold"})

    def bound(self) -> Condition:
        """Return the condition of the share of passing rows (0 to 1): the threshold, else 1."""
        return self.statement.threshold or ALL

    def predicate(self, now: datetime) -> str:
        """Return SQL, never null: true for a row that passes, false for one that fails."""
        raise NotImplementedError

    def test(self, now: datetime) -> tuple[str, bool]:
        """Return a simpler predicate that may be null, and whether rows pass where it is *not* true."""
        return self.predicate(now), False

    def applies(self, now: datetime) -> str | None:
        """Return SQL, never null: true for rows that are evaluated, others are skipped; None for all rows."""
        where, speaks = self.statement.where, self.speaks_of()
        parts = [f"coalesce({where}, false)"] if where else []
        parts += [speaks] if speaks else []
        return " and ".join(parts) or None

    def speaks_of(self) -> str | None:
        """Return SQL, never null, of the rows that the rule can evaluate, apart from ``where``; None for all rows."""
        return None

    def outcome(self, now: datetime) -> str:
        """Return SQL: true for pass, false for fail, null for skip."""
        applies = self.applies(now)
        return f"if({applies}, {self.predicate(now)}, null)" if applies else self.predicate(now)

    def metrics(self, now: datetime) -> tuple[Metric, ...]:
        """Return the number of evaluated rows, and the share that passes."""
        applies, (predicate, negated) = self.applies(now), self.test(now)
        return Metric("size", where=applies), Metric("compliance", self.columns, applies, predicate, negated)

    @property
    def offending(self) -> tuple[str, ...]:
        """Columns that a failed row is reported with."""
        return self.columns

    def judged(self, values: Values, now: datetime) -> int:
        """Return the number of evaluated rows."""
        return int(values[self.metrics(now)[0]] or 0)

    def failed(self, values: Values, now: datetime) -> int:
        """Return the number of rows that fail, from the measured metrics."""
        rows, share = (values[metric] for metric in self.metrics(now))
        return round((rows or 0) * (1 - share)) if share is not None else 0

    def measure(self, values: Values, now: datetime) -> float | None:
        """Return the share of evaluated rows that pass; None where none is evaluated."""
        rows = self.judged(values, now)
        return 1 - self.failed(values, now) / rows if rows else None


class ValueRule(RowRule):
    """A row rule that compares a value of each row with its condition."""

    def value(self) -> Value:
        """Return the compared value."""
        raise NotImplementedError

    def predicate(self, now: datetime) -> str:
        """Return SQL, never null, of the comparison."""
        return f"({definite(*self.test(now))})"

    def test(self, now: datetime) -> tuple[str, bool]:
        """Return the comparison as a predicate that may be null, and whether it is negated."""
        assert self.statement.condition is not None  # noqa: S101 - check() ensures it
        return self.statement.condition.test(self.value(), now)
