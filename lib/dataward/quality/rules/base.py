"""What every rule kind is built from: a checked statement, and the families of rules.

A **row rule** gives every row an outcome: pass, fail, or skip (``where`` is not met, or the rule does not speak of a
null). Rows that fail go to the quarantine. Its measured value is the share that passes among the rows not skipped, so a
row rule and its rows never disagree: both come from :meth:`RowRule.applies` and :meth:`RowRule.predicate`.

A **table rule** comes to one number, worked out from metrics that an engine measures. A **probe** also comes to one
number, but finds it itself: in the schema, in files, in a query, in another table. When the number does not meet the
rule's :meth:`Rule.bound`, the run stops.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from dataward.contract.pure import Impure
from dataward.contract.pure import condition as condition_of_row
from dataward.contract.pure import patterns as sql_patterns
from dataward.errors import did_you_mean
from dataward.quality.conditions import Arithmetic, Call, Condition, Moment, Operand, Size, quoted, shown
from dataward.quality.dqdl.syntax import RuleError, Statement
from dataward.quality.flags import Flag
from dataward.quality.metrics import Kind, Metric, Values
from dataward.quality.past import Past, TooShort, asks, complaint, worked_out
from dataward.spark.compare import Value, as_moment
from dataward.spark.sql import definite

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Finding", "Probe", "RowRule", "Rule", "RuleError", "Scene", "Statement", "TableRule", "ValueRule"]

ALL = Condition("=", (Decimal(1),))
SHARE = (Decimal(0), Decimal(1))
CONDITIONS = ("=", "!=", ">", ">=", "<", "<=", "between", "in", "matches")
FUNCTIONS = ("abs", "avg", "index", "last", "max", "median", "min", "std", "sum")


@dataclass(frozen=True)
class Scene:
    """What a probe may look at. ``columns`` are the source's own, ``references`` the contract's other tables."""

    spark: SparkSession
    frame: DataFrame
    columns: Mapping[str, str]  # name to Spark's simple type
    references: Mapping[str, DataFrame]
    values: Values
    now: datetime
    allow: Callable[[str, Callable[[], Finding]], Finding] = lambda name, what: what()
    """Look for a rule, within the time that it may take."""


@dataclass(frozen=True)
class Finding:
    """A probe's number, a decimal where it is exact; None where there was nothing to measure. ``told`` says more, without data."""

    measured: float | Decimal | None
    told: str = ""


@dataclass(frozen=True)
class Rule:
    """Base of all kinds. Class attributes say what a statement of the kind may hold; :meth:`check` holds it to that."""

    statement: Statement
    awaits: str = field(default="", kw_only=True)
    """Why it cannot be judged yet; it looks at a past that is too short."""
    types: Mapping[str, str] | None = field(default=None, kw_only=True, compare=False, repr=False)
    """Spark's simple types by column in lower case; None until :meth:`typed` gives them."""

    name: ClassVar[str]
    parameters: ClassVar[tuple[int, int | None]] = (1, 1)
    condition: ClassVar[str] = "number"  # what it compares with: number, value, duration, ...; "" for nothing
    condition_optional: ClassVar[bool] = False
    span: ClassVar[tuple[Decimal, Decimal] | None] = None  # the least and the largest number it can come to
    either_order: ClassVar[bool] = False  # whether the ends of 'between' may stand the wrong way round
    takes_where: ClassVar[bool] = True
    tags: ClassVar[frozenset[str]] = frozenset()
    ours: ClassVar[bool] = False
    """Whether Glue does not know it."""

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Refuse a statement that this kind cannot mean.

        Raises:
            RuleError: with what is wrong and how to mend it.
        """
        said, (least, most) = self.statement, self.parameters
        count = len(said.parameters)
        if count < least or (most is not None and count > most):
            self._refuse_count(count)
        if self.condition and said.condition is None and not self.condition_optional:
            self.refuse(f"{self.name} needs a condition", f"add one, e.g. {self.example()}")
        if not self.condition and said.condition is not None:
            self.refuse(f"{self.name} takes no condition", f"remove '{said.condition}'")
        if said.where is not None and not self.takes_where:
            self.refuse(f"{self.name} takes no 'where'", "remove it")
        self._check_where()
        self._check_tags()
        for condition in (said.condition, *(condition for _, condition in said.tags)):
            if condition is not None:
                self._check_operands(condition)
        numeric = [said.threshold, said.condition if self.condition == "number" else None]
        for condition in numeric:
            numbers = (Decimal, Call, Arithmetic)
            if condition is not None and (condition.operator == "matches" or not _all(condition, numbers)):
                self.refuse(f"{self.name} compares with numbers", f"'{condition}' is none")
        severity = dict(said.labels).get("severity", "error")
        if severity not in ("error", "warning"):
            self.refuse(f"severity '{severity}' is unknown", "use 'error' or 'warning'")

    def _check_where(self) -> None:
        try:
            if self.statement.where is not None:
                condition_of_row(self.statement.where)
        except Impure as error:
            self.refuse(f"where: {error.what}", error.remedy)

    def _refuse_count(self, count: int) -> None:
        least, most = self.parameters
        word = self.statement.parameters[most] if most is not None and count > most else ""
        if word and self.condition and self.statement.condition is None and quoted(word) not in self.statement.text:
            remedy = did_you_mean(word, CONDITIONS) or 'write matches "..." for a pattern (a regular expression)'
            self.refuse(f"'{word}' is no condition: there are {', '.join(CONDITIONS)}", remedy)
        wanted = str(least) if least == most else f"{least} or more" if most is None else f"{least} to {most}"
        self.refuse(
            f"{self.name} takes {wanted} parameter{'s' * (wanted != '1')}, not {count}", f"e.g. {self.example()}"
        )

    @classmethod
    def example(cls) -> str:
        """The first example of its documentation."""
        _, _, examples = (cls.__doc__ or "").partition("Example::")
        return next((line.partition(" # ")[0].strip() for line in examples.splitlines() if line.strip()), cls.name)

    def check_meaning(self) -> None:
        """Refuse bounds that no number, or every number, meets. Not of numbers that come from the past: those are as they are.

        Raises:
            RuleError: with what is wrong and how to mend it.
        """
        said = self.statement
        if said.condition is not None and self.span is not None:
            self._check_span(said.condition, self.name, self.span)
        if said.threshold is not None:
            self._check_span(said.threshold, "the share of a threshold", SHARE)
        for condition in (said.condition, said.threshold):
            if condition is None or condition.operator != "between" or self.either_order:
                continue
            low, high = map(_rank, condition.operands)
            if low is not None and type(low) is type(high) and low >= high:
                ends = [shown(operand) for operand in condition.operands]
                remedy = f"write = {ends[0]}" if low == high else f"write between {ends[1]} and {ends[0]}"
                self.refuse(f"'{condition}' means nothing: no value lies there (the ends are left out)", remedy)

    def _check_span(self, condition: Condition, what: str, span: tuple[Decimal, Decimal]) -> None:
        least, most = span
        numbers = [operand for operand in condition.operands if isinstance(operand, Decimal)]
        if len(numbers) != len(condition.operands):
            return
        if condition.operator == "between":
            beyond = numbers[0] >= most or numbers[1] <= least
        else:
            beyond = any(not least <= number <= most for number in numbers)
        if beyond:
            remedy = "90 % is written 0.9" if span == SHARE else ""
            self.refuse(f"{what} lies between {least} and {most}: '{condition}' means nothing", remedy)

    def _check_tags(self) -> None:
        for tag, _ in self.statement.tags:
            if tag == "threshold" and tag not in self.tags:
                self.refuse(f"{self.name} takes no 'with threshold'", "put the bound into its condition")
            if tag not in self.tags:
                remedy = did_you_mean(tag, self.tags) or f"it takes {', '.join(sorted(self.tags)) or 'none'}"
                self.refuse(f"'with {tag}' is unknown to {self.name}", remedy)

    def check_settings(self, *lists: str) -> None:
        """Refuse a tag that compares instead of saying a value; ``lists`` are tags that may say several."""
        for tag, condition in self.statement.tags:
            if tag != "threshold" and condition.operator != "=" and not (tag in lists and condition.operator == "in"):
                self.refuse(f"'with {tag}' says a value", f"write: with {tag} = ...")

    def _check_operands(self, condition: Condition) -> None:
        compared = condition in (self.statement.condition, self.statement.threshold)
        if compared and len(condition.operands) > 1 and condition.operator not in ("in", "between"):
            self.refuse(f"'{condition.operator}' compares with one operand, not a list", "use 'in [...]'")
        for call in (call for operand in condition.operands for call in _calls(operand)):
            if call.function not in FUNCTIONS:
                remedy = did_you_mean(call.function, [*FUNCTIONS, "now"]) or f"there are {', '.join(FUNCTIONS)}, now"
                self.refuse(f"function '{call.function}' is unknown", remedy)
            if not compared or condition is not self.bound():
                what = f"{call.function}(...) looks at what earlier runs measured, which no single row is compared with"
                self.refuse(what, "bound the whole: with threshold > 0.9 * avg(last(10))")
        for operand in condition.operands:
            if isinstance(operand, Call | Arithmetic) and (trouble := complaint(operand)):
                self.refuse(f"'{shown(operand)}': {trouble}", "")

    def refuse(self, what: str, remedy: str = "") -> None:
        raise RuleError(self.statement.line, what, remedy)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the source that the rule needs to exist."""
        return self.statement.parameters

    @property
    def aliases(self) -> tuple[str, ...]:
        """The contract's references that the rule needs."""
        return ()

    def reference_columns(self) -> Mapping[str, tuple[str, ...]]:
        """The columns that it needs of each."""
        return {}

    def bound(self) -> Condition:
        """What the measured number must meet: the condition on a number; else, of a share, the threshold, or all."""
        said = self.statement.condition if self.condition == "number" else None
        return said or self.statement.threshold or ALL

    @property
    def series(self) -> str:
        """The name of its number in the history of runs: the rule without bound and labels, so that these may change."""
        condition = None if self.condition == "number" else self.statement.condition
        tags = tuple((tag, said) for tag, said in self.statement.tags if tag != "threshold")
        return str(replace(self.statement, condition=condition, tags=tags, labels=()))

    @property
    def asks_past(self) -> bool:
        """Whether it compares with what earlier runs measured."""
        return asks(self.bound())

    def recalled(self, past: Past, now: datetime) -> Rule:
        """The same with numbers in the place of what it asks of the past; or told what it ``awaits``."""
        if not self.asks_past:
            return self
        said, points = self.statement, past.points(self.series)
        try:
            condition = worked_out(said.condition, points) if said.condition else None
            tags = tuple((tag, worked_out(told, points)) for tag, told in said.tags)
        except TooShort as short:
            return replace(self, awaits=str(short))
        return replace(self, statement=replace(said, condition=condition, tags=tags))

    @property
    def patterns(self) -> tuple[str, ...]:
        """The regular expressions (Java's) that values of rows are compared with."""
        said = self.statement
        compared = said.condition.operands if said.condition and said.condition.operator == "matches" else ()
        return (*map(str, compared), *(sql_patterns(said.where) if said.where else ()))

    def typed(self, types: Mapping[str, str]) -> Rule:
        """The same over columns of these types (simple ones, by name): how values are compared depends on them."""
        return replace(self, types={name.lower(): kind for name, kind in types.items()})

    def leaves(self) -> tuple[Rule, ...]:
        """The rules that it is composed of; itself, if of none."""
        return (self,)

    def flags(self) -> tuple[Flag, ...]:
        """Columns that must be joined to the source before the rule can be measured."""
        return ()

    def metrics(self, now: datetime) -> tuple[Metric, ...]:
        """What an engine must measure for this rule."""
        return ()

    @property
    def text(self) -> str:
        return self.statement.text

    @property
    def warns_only(self) -> bool:
        return dict(self.statement.labels).get("severity") == "warning"

    def __str__(self) -> str:
        return self.text


class TableRule(Rule):
    """A rule about the table as a whole; by default its number is the metric of its ``kind``."""

    kind: ClassVar[Kind]

    def metrics(self, now: datetime) -> tuple[Metric, ...]:
        return (Metric(self.kind, self.columns, self.statement.where),)

    def measure(self, values: Values, now: datetime) -> float | None:
        return values[self.metrics(now)[0]]

    def told(self, values: Values, now: datetime) -> str:
        """What the verdict says beside the number; holds no data."""
        return ""


class Probe(Rule):
    """A rule that finds its number itself."""

    takes_where = False
    reads: ClassVar[str] = "schema"  # what it looks at: schema, query, reference or files

    @property
    def columns(self) -> tuple[str, ...]:
        return ()  # its parameters name no columns, or one whose absence is its verdict

    def probe(self, scene: Scene) -> Finding:
        """Look.

        Raises:
            Unmeasured: it cannot be found out; the message holds no data.
        """
        raise NotImplementedError


class RowRule(Rule):
    """A rule that every row passes, fails, or is no subject of."""

    tags: ClassVar[frozenset[str]] = frozenset({"threshold"})

    def bound(self) -> Condition:
        """What the share of passing rows (0 to 1) must meet: all of them, unless a threshold says otherwise."""
        return self.statement.threshold or ALL

    def predicate(self, now: datetime) -> str:
        """SQL that is true for a row that passes and false for one that fails, never null."""
        raise NotImplementedError

    def test(self, now: datetime) -> tuple[str, bool]:
        """The predicate in a plainer form that may be null, and whether rows pass where it is *not* true."""
        return self.predicate(now), False

    def applies(self, now: datetime) -> str | None:
        """SQL (never null) that is true for a row that is judged; None when every row is. Others are skipped."""
        where, speaks = self.statement.where, self.speaks_of()
        parts = [f"coalesce({where}, false)"] if where else []
        parts += [speaks] if speaks else []
        return " and ".join(parts) or None

    def speaks_of(self) -> str | None:
        """SQL (never null) for rows that the rule can judge, whatever ``where`` says; None for all."""
        return None

    def outcome(self, now: datetime) -> str:
        """SQL: true for pass, false for fail, null for skip."""
        applies = self.applies(now)
        return f"if({applies}, {self.predicate(now)}, null)" if applies else self.predicate(now)

    def metrics(self, now: datetime) -> tuple[Metric, ...]:
        """First the rows judged, then the share that passes."""
        applies, (predicate, negated) = self.applies(now), self.test(now)
        return Metric("size", where=applies), Metric("compliance", self.columns, applies, predicate, negated)

    @property
    def offending(self) -> tuple[str, ...]:
        """The columns to name when a row fails."""
        return self.columns

    def judged(self, values: Values, now: datetime) -> int:
        return int(values[self.metrics(now)[0]] or 0)

    def failed(self, values: Values, now: datetime) -> int:
        """Number of rows that fail, from the measured metrics."""
        rows, share = (values[metric] for metric in self.metrics(now))
        return round((rows or 0) * (1 - share)) if share is not None else 0

    def measure(self, values: Values, now: datetime) -> float | None:
        """Share of the judged rows that pass; None when none is judged."""
        rows = self.judged(values, now)
        return 1 - self.failed(values, now) / rows if rows else None


class ValueRule(RowRule):
    """A row rule that compares something of each row with its condition."""

    def value(self) -> Value:
        """What is compared."""
        raise NotImplementedError

    def predicate(self, now: datetime) -> str:
        return f"({definite(*self.test(now))})"

    def test(self, now: datetime) -> tuple[str, bool]:
        assert self.statement.condition is not None  # noqa: S101 - held by check()
        return self.statement.condition.test(self.value(), now)


def _rank(operand: Operand) -> Any:
    """What an end of ``between`` is ordered by; None where that is not known before the column's type is."""
    if isinstance(operand, Moment):
        return operand.offset
    if isinstance(operand, Size):
        return Decimal(operand.bytes)
    moment = as_moment(operand) if isinstance(operand, str) else None
    return moment[0] if moment else operand if isinstance(operand, Decimal | timedelta) else None


def _calls(operand: Operand) -> list[Call]:
    if isinstance(operand, Arithmetic):
        return _calls(operand.left) + _calls(operand.right)
    return [operand] if isinstance(operand, Call) else []


def _all(condition: Condition, kind: Any) -> bool:
    return all(isinstance(operand, kind) for operand in condition.operands)
