"""Conditions of rules: ``> 10``, ``between 1 and 9``, ``in ["a", NULL]``, ``matches "..."``.

A condition has the same meaning for a measured number (:meth:`Condition.holds`) and, as a SQL predicate, for each row
(:meth:`Condition.sql`). ``between`` excludes its ends, as in Glue.

Nulls, as in Glue: a null value fails every condition but ``!=``, ``not in``, ``not between`` and ``not matches``;
the operand NULL decides it explicitly (``= NULL``, ``not in ["x", NULL]``). :mod:`dataward.spark.compare` defines the
comparison of a value with an operand: text that is no number fails every comparison with a number.

``str()`` of a condition, and :func:`shown` of an operand, return DQDL.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, cast

from dataward.spark.compare import Compared, Incomparable, Order, Value, equal, ordered, unreadable
from dataward.spark.sql import definite, literal

__all__ = [
    "EMPTY",
    "NULL",
    "WHITESPACES_ONLY",
    "Arithmetic",
    "Call",
    "Condition",
    "Keyword",
    "Moment",
    "Operand",
    "Operator",
    "Reference",
    "Size",
    "quoted",
    "shown",
]

Operator = Literal["=", "!=", ">", ">=", "<", "<=", "between", "in", "matches"]

UNITS = {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}


@dataclass(frozen=True)
class Keyword:
    """A keyword operand of DQDL."""

    name: str


NULL, EMPTY, WHITESPACES_ONLY = Keyword("NULL"), Keyword("EMPTY"), Keyword("WHITESPACES_ONLY")


@dataclass(frozen=True)
class Moment:
    """``now()`` plus an offset; *now* is the time at which the run's source was pinned."""

    offset: timedelta = timedelta()


@dataclass(frozen=True)
class Size:
    """A number of bytes; 1 KB is 1024 bytes."""

    bytes: int


@dataclass(frozen=True)
class Reference:
    """``$name``: a constant that the ruleset declares above its rules."""

    name: str


@dataclass(frozen=True)
class Call:
    """A function of a dynamic rule, such as ``avg(last(10))``; evaluated against the history of runs."""

    function: str
    arguments: tuple[Operand, ...] = ()


@dataclass(frozen=True)
class Arithmetic:
    """Two operands joined by + - * /, of which one is a :class:`Call` (the parser evaluates arithmetic of numbers)."""

    operator: str
    left: Operand
    right: Operand


Operand = Decimal | str | timedelta | Moment | Keyword | Size | Reference | Call | Arithmetic


@dataclass(frozen=True)
class Condition:
    """An operator with its operands."""

    operator: Operator
    operands: tuple[Operand, ...]
    negated: bool = False

    @property
    def numbers(self) -> list[float]:
        """The numeric operands."""
        return [float(operand) for operand in self.operands if isinstance(operand, Decimal)]

    def holds(self, value: float | Decimal) -> bool:
        """Return whether a measured number meets the condition.

        A decimal is compared exactly, a float with the doubles nearest to the operands. All operands are numbers; the rule checks it.
        """
        exact = [operand for operand in self.operands if isinstance(operand, Decimal)]
        low, *more = exact if isinstance(value, Decimal) else map(float, exact)
        truth = {
            "=": value == low,
            "!=": value != low,
            ">": value > low,
            ">=": value >= low,
            "<": value < low,
            "<=": value <= low,
            "between": bool(more) and low < value < more[0],
            "in": value in (low, *more),
        }[self.operator]
        return truth != self.negated

    def sql(self, value: Value, now: datetime) -> str:
        """Return a SQL predicate over a value, never null.

        Raises:
            Incomparable: an operand cannot be compared with the value's type.
        """
        return definite(*self.test(value, now))

    def test(self, value: Value, now: datetime) -> tuple[str, bool]:
        """Return a simpler predicate that may be null, and whether the condition holds where it is *not* true."""
        plain = [_compared(operand, now) for operand in self.operands if not isinstance(operand, Keyword)]
        tests = [_keyword_sql(operand, value) for operand in self.operands if isinstance(operand, Keyword)]
        negative = self.negated or self.operator == "!="
        if self.operator == "matches":
            tests.append(f"{value.sql} rlike {literal(str(plain[0]))}")
        elif self.operator == "between":
            tests.append(f"{ordered(value, '>', plain[0])} and {ordered(value, '<', plain[1])}")
        elif self.operator in ("=", "!=", "in"):
            tests += [equal(value, plain)] if plain else []
        elif plain:
            tests.append(ordered(value, cast(Order, self.operator), plain[0]))
        unread = unreadable(value, plain) if negative and self.operator != "matches" else None
        return " or ".join([*tests, *([unread] if unread else [])]), negative

    def __str__(self) -> str:
        """Return the condition in DQDL."""
        operands = [shown(operand) for operand in self.operands]
        negation = "not " if self.negated else ""
        if self.operator == "between":
            return f"{negation}between {operands[0]} and {operands[1]}"
        if self.operator == "in":
            # A single reference, as in `in $list`, has no brackets.
            alone = len(self.operands) == 1 and isinstance(self.operands[0], Reference)
            return f"{negation}in {operands[0]}" if alone else f"{negation}in [{', '.join(operands)}]"
        return f"{negation}{self.operator} {operands[0] if len(operands) == 1 else '[' + ', '.join(operands) + ']'}"


def _compared(operand: Operand, now: datetime) -> Compared:
    """Return the value of an operand for a comparison."""
    if isinstance(operand, timedelta):
        return Decimal(int(operand.total_seconds()))
    if isinstance(operand, Size):
        return Decimal(operand.bytes)
    if isinstance(operand, Moment):
        try:
            return now.replace(microsecond=0, tzinfo=None) + operand.offset
        except OverflowError:
            raise Incomparable(f"{shown(operand)} lies beyond the calendar", "use a shorter time") from None
    return operand if isinstance(operand, Decimal) else str(operand)


def _keyword_sql(keyword: Keyword, value: Value) -> str:
    """Return SQL of whether a value is NULL, EMPTY or WHITESPACES_ONLY."""
    if keyword == NULL:
        return f"{value.sql} is null"
    if value.kind and not value.is_text:
        return "false"
    return f"{value.sql} = ''" if keyword == EMPTY else f"{value.sql} rlike '^\\\\s+$'"


def shown(operand: Operand) -> str:
    """Return an operand in DQDL."""
    if isinstance(operand, Keyword):
        return operand.name
    if isinstance(operand, timedelta):
        return _duration(operand)
    if isinstance(operand, Moment):
        if not operand.offset:
            return "now()"
        return f"(now() {'-' if operand.offset < timedelta() else '+'} {_duration(abs(operand.offset))})"
    if isinstance(operand, Size):
        unit = max((name for name, size in UNITS.items() if operand.bytes % size == 0), key=UNITS.__getitem__)
        return f"{operand.bytes // UNITS[unit]} {unit}"
    if isinstance(operand, Reference):
        return f"${operand.name}"
    if isinstance(operand, Call):
        return f"{operand.function}({', '.join(map(shown, operand.arguments))})"
    if isinstance(operand, Arithmetic):
        return f"({shown(operand.left)} {operand.operator} {shown(operand.right)})"
    return quoted(operand) if isinstance(operand, str) else format(operand, "f")


def quoted(text: str) -> str:
    """Return a text in DQDL."""
    return '"' + text.replace('"', '\\"') + '"'


def _duration(span: timedelta) -> str:
    for unit, size in (("days", 86400), ("hours", 3600)):
        if span.total_seconds() % size == 0:
            return f"{int(span.total_seconds() / size)} {unit}"
    minutes = Decimal(str(span.total_seconds())) / 60
    return f"{minutes.normalize():f} minutes"
