"""Base of all kinds of rules: a validated statement. The families of rules are in :mod:`dataward.quality.rules.families`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from dataward.contract.pure import Impure
from dataward.contract.pure import condition as condition_of_row
from dataward.contract.pure import patterns as sql_patterns
from dataward.errors import did_you_mean
from dataward.quality.conditions import Arithmetic, Call, Condition, Moment, Operand, Size, quoted, shown
from dataward.quality.dqdl.syntax import RuleError, Statement
from dataward.quality.flags import Flag
from dataward.quality.metrics import Metric
from dataward.quality.past import Past, TooShort, asks, complaint, worked_out
from dataward.spark.compare import as_moment

__all__ = ["ALL", "SHARE", "Rule", "RuleError", "Statement"]

ALL = Condition("=", (Decimal(1),))
SHARE = (Decimal(0), Decimal(1))
CONDITIONS = ("=", "!=", ">", ">=", "<", "<=", "between", "in", "matches")
FUNCTIONS = ("abs", "avg", "index", "last", "max", "median", "min", "std", "sum")


@dataclass(frozen=True)
class Rule:
    """Base of all kinds of rules. Class attributes define the valid statements; :meth:`check` validates them."""

    statement: Statement
    awaits: str = field(default="", kw_only=True)
    """Why the rule is skipped: too few earlier runs. Empty: it is evaluated."""
    types: Mapping[str, str] | None = field(default=None, kw_only=True, compare=False, repr=False)
    """Spark's simple types by column in lower case; None before :meth:`typed`."""

    name: ClassVar[str]
    parameters: ClassVar[tuple[int, int | None]] = (1, 1)
    condition: ClassVar[str] = "number"  # kind of operand: number, value, duration, ...; "": no condition
    condition_optional: ClassVar[bool] = False
    span: ClassVar[tuple[Decimal, Decimal] | None] = None  # smallest and largest possible number
    either_order: ClassVar[bool] = False  # whether the ends of 'between' may be in either order
    takes_where: ClassVar[bool] = True
    tags: ClassVar[frozenset[str]] = frozenset()
    ours: ClassVar[bool] = False
    """Whether the rule is Dataward's own and unknown to Glue."""

    def __post_init__(self) -> None:
        """Validate the statement."""
        self.check()

    def check(self) -> None:
        """Validate the statement for this rule kind.

        Raises:
            RuleError: the statement is invalid; holds the remedy.
        """
        statement, (least, most) = self.statement, self.parameters
        count = len(statement.parameters)
        if count < least or (most is not None and count > most):
            self._refuse_count(count)
        if self.condition and statement.condition is None and not self.condition_optional:
            self.refuse(f"{self.name} needs a condition", f"add one, e.g. {self.example()}")
        if not self.condition and statement.condition is not None:
            self.refuse(f"{self.name} takes no condition", f"remove '{statement.condition}'")
        if statement.where is not None and not self.takes_where:
            self.refuse(f"{self.name} takes no 'where'", "remove it")
        self._check_where()
        self._check_tags()
        for condition in (statement.condition, *(condition for _, condition in statement.tags)):
            if condition is not None:
                self._check_operands(condition)
        numeric = [statement.threshold, statement.condition if self.condition == "number" else None]
        for condition in numeric:
            numbers = (Decimal, Call, Arithmetic)
            if condition is not None and (condition.operator == "matches" or not _all(condition, numbers)):
                self.refuse(f"{self.name} compares with numbers", f"'{condition}' is none")
        severity = dict(statement.labels).get("severity", "error")
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
        """Return the first example of the class's documentation."""
        _, _, examples = (cls.__doc__ or "").partition("Example::")
        return next((line.partition(" # ")[0].strip() for line in examples.splitlines() if line.strip()), cls.name)

    def check_meaning(self) -> None:
        """Refuse bounds that no number, or every number, meets; bounds from earlier runs are not checked.

        Raises:
            RuleError: a bound is meaningless; holds the remedy.
        """
        statement = self.statement
        if statement.condition is not None and self.span is not None:
            self._check_span(statement.condition, self.name, self.span)
        if statement.threshold is not None:
            self._check_span(statement.threshold, "the share of a threshold", SHARE)
        for condition in (statement.condition, statement.threshold):
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
        """Refuse tags with a comparison instead of a value; ``lists`` are tags that may have several values."""
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
        """Raise RuleError for the statement."""
        raise RuleError(self.statement.line, what, remedy)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the source that must exist."""
        return self.statement.parameters

    @property
    def aliases(self) -> tuple[str, ...]:
        """References of the contract that must exist."""
        return ()

    def reference_columns(self) -> Mapping[str, tuple[str, ...]]:
        """Return the columns of each reference that must exist."""
        return {}

    def bound(self) -> Condition:
        """Return the condition of the measured number: the numeric condition, else the threshold, else 1 for a share."""
        said = self.statement.condition if self.condition == "number" else None
        return said or self.statement.threshold or ALL

    @property
    def series(self) -> str:
        """Name of the number in the history of runs: the rule without bound and labels, so that these may change."""
        condition = None if self.condition == "number" else self.statement.condition
        tags = tuple((tag, setting) for tag, setting in self.statement.tags if tag != "threshold")
        return str(replace(self.statement, condition=condition, tags=tags, labels=()))

    @property
    def asks_past(self) -> bool:
        """Whether the rule compares with earlier runs."""
        return asks(self.bound())

    def recalled(self, past: Past, now: datetime) -> Rule:
        """Resolve historical functions to numbers; where there are too few runs, the result ``awaits`` more."""
        if not self.asks_past:
            return self
        statement, points = self.statement, past.points(self.series)
        try:
            condition = worked_out(statement.condition, points) if statement.condition else None
            tags = tuple((tag, worked_out(condition_of_tag, points)) for tag, condition_of_tag in statement.tags)
        except TooShort as short:
            return replace(self, awaits=str(short))
        return replace(self, statement=replace(statement, condition=condition, tags=tags))

    @property
    def patterns(self) -> tuple[str, ...]:
        """Regular expressions (Java's) that values of rows are matched with."""
        statement = self.statement
        compared = (
            statement.condition.operands if statement.condition and statement.condition.operator == "matches" else ()
        )
        return (*map(str, compared), *(sql_patterns(statement.where) if statement.where else ()))

    def typed(self, types: Mapping[str, str]) -> Rule:
        """Return the rule for columns of these simple types (by name), on which comparisons depend."""
        return replace(self, types={name.lower(): kind for name, kind in types.items()})

    def leaves(self) -> tuple[Rule, ...]:
        """Return the rules that it is composed of; a simple rule returns itself."""
        return (self,)

    def flags(self) -> tuple[Flag, ...]:
        """Return the flags that must be added to the source before the rule is measured."""
        return ()

    def metrics(self, now: datetime) -> tuple[Metric, ...]:
        """Return the metrics that an engine must measure."""
        return ()

    @property
    def text(self) -> str:
        """The text of the rule."""
        return self.statement.text

    @property
    def warns_only(self) -> bool:
        """Whether a failure is only reported (severity=warning)."""
        return dict(self.statement.labels).get("severity") == "warning"

    def __str__(self) -> str:
        """Return the text of the rule."""
        return self.text


def _rank(operand: Operand) -> Any:
    """Return the sort key of an end of ``between``; None where it depends on the column's type."""
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
