"""The right-hand side of a rule: ``> 10``, ``between 1 and 9``, ``in ["a", NULL]``, ``matches "..."``.

A condition is judged in two places with one meaning: against a measured number (:meth:`Condition.holds`) and, as a SQL
predicate, against each row (:meth:`Condition.sql`). ``between`` leaves its ends out, as in Glue.

Nulls, as in Glue: a null value fails every condition but ``!=``, ``not in``, ``not between`` and ``not matches``;
naming NULL as an operand decides it explicitly (``= NULL``, ``not in ["x", NULL]``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

__all__ = ["EMPTY", "NULL", "WHITESPACES_ONLY", "Condition", "Keyword", "Moment", "Operand", "quoted"]

Operator = Literal["=", "!=", ">", ">=", "<", "<=", "between", "in", "matches"]


@dataclass(frozen=True)
class Keyword:
    name: str


NULL, EMPTY, WHITESPACES_ONLY = Keyword("NULL"), Keyword("EMPTY"), Keyword("WHITESPACES_ONLY")


@dataclass(frozen=True)
class Moment:
    """``now()``, shifted by an offset; *now* is the moment at which the run's source was pinned."""

    offset: timedelta = timedelta()


Operand = Decimal | str | timedelta | Moment | Keyword


def quoted(text: str) -> str:
    """A SQL string literal (under Spark's default of escapes inside literals)."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{escaped}'"


@dataclass(frozen=True)
class Condition:
    operator: Operator
    operands: tuple[Operand, ...]
    negated: bool = False

    def holds(self, value: float) -> bool:
        """Whether a measured number meets the condition; its operands are numbers (checked when the rule is made)."""
        low, *more = [float(operand) for operand in self.operands if isinstance(operand, Decimal)]
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

    def sql(self, value: str, now: datetime) -> str:
        """A SQL predicate over the expression ``value``: true or false for every row, never null."""
        plain = [self._literal(operand, now) for operand in self.operands if not isinstance(operand, Keyword)]
        special = [_keyword_sql(operand, value) for operand in self.operands if isinstance(operand, Keyword)]
        negative = self.negated or self.operator == "!="
        tests = list(special)
        if self.operator == "matches":
            tests.append(f"coalesce({value} rlike {plain[0]}, false)")
        elif self.operator == "between":
            tests.append(f"coalesce({value} > {plain[0]} and {value} < {plain[1]}, false)")
        elif self.operator in ("=", "!=", "in") and plain:
            tests.append(f"coalesce({value} in ({', '.join(plain)}), false)")
        elif plain:
            tests.append(f"coalesce({value} {self.operator} {plain[0]}, false)")
        found = tests[0] if len(tests) == 1 else "(" + " or ".join(tests) + ")"
        return f"not {found}" if negative else found

    @staticmethod
    def _literal(operand: Operand, now: datetime) -> str:
        if isinstance(operand, Decimal):
            return format(operand, "f")
        if isinstance(operand, timedelta):
            return str(int(operand.total_seconds()))
        if isinstance(operand, Moment):
            return f"timestamp'{(now + operand.offset).strftime('%Y-%m-%d %H:%M:%S')}'"
        return quoted(str(operand))

    def __str__(self) -> str:
        """Short and readable, for reports (the rule's own text is what was written)."""
        shown = [_shown(operand) for operand in self.operands]
        no = "not " if self.negated else ""
        if self.operator == "between":
            return f"{no}between {shown[0]} and {shown[1]}"
        if self.operator == "in":
            return f"{no}in [{', '.join(shown)}]"
        return f"{no}{self.operator} {shown[0]}"


def _keyword_sql(keyword: Keyword, value: str) -> str:
    if keyword == NULL:
        return f"({value} is null)"
    if keyword == EMPTY:
        return f"coalesce({value} = '', false)"
    return f"coalesce({value} rlike '^\\\\s+$', false)"


def _shown(operand: Operand) -> str:
    if isinstance(operand, Keyword):
        return operand.name
    if isinstance(operand, timedelta):
        return _duration(operand)
    if isinstance(operand, Moment):
        return f"now() {'-' if operand.offset < timedelta() else '+'} {_duration(abs(operand.offset))}"
    return f'"{operand}"' if isinstance(operand, str) else str(operand)


def _duration(span: timedelta) -> str:
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if span.total_seconds() % size == 0:
            return f"{int(span.total_seconds() / size)} {unit}"
    return f"{span.total_seconds()} seconds"
