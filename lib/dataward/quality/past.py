"""Evaluate functions of dynamic rules over the numbers of earlier runs: ``RowCount > 0.8 * avg(last(10))``.

``last(k)`` is the list of the k newest numbers of the rule's own series, newest first; ``index(last(k), 0)`` and ``last()``
are the newest number. ``std`` is the standard deviation of the population. Where fewer than k runs are known, the rule is
skipped and its message gives the number of runs that it needs.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from dataward.quality.conditions import Arithmetic, Call, Condition, Operand

__all__ = ["Past", "Point", "TooShort", "asks", "complaint", "worked_out"]


@dataclass(frozen=True)
class Point:
    """One measured number and the time (UTC) of its run."""

    time: datetime
    value: float


@dataclass(frozen=True)
class Past:
    """Numbers of earlier runs by series, oldest first, without runs that were stopped or marked bad."""

    series: Mapping[str, tuple[Point, ...]] = field(default_factory=dict)

    def points(self, series: str) -> tuple[Point, ...]:
        """Return the numbers of a series, oldest first; empty where it is unknown."""
        return self.series.get(series, ())


class TooShort(Exception):
    """Too few earlier runs for a comparison; the message gives the number that is needed."""


OF_LISTS: dict[str, Callable[[Sequence[float]], float]] = {
    "avg": statistics.fmean,
    "max": max,
    "median": statistics.median,
    "min": min,
    "std": statistics.pstdev,
    "sum": sum,
}


def asks(condition: Condition) -> bool:
    """Return whether a condition refers to earlier runs."""
    return any(isinstance(operand, Call | Arithmetic) for operand in condition.operands)


def complaint(operand: Operand) -> str | None:
    """Return why an operand has no numeric value; None where it has one."""
    if isinstance(operand, Arithmetic):
        return complaint(operand.left) or complaint(operand.right)
    if not isinstance(operand, Call):
        return None if isinstance(operand, Decimal) else f"'{operand}' is no number"
    arguments = operand.arguments
    if operand.function == "last":
        return _list_complaint(operand) or (
            f"last({arguments[0]}) is several numbers: write avg(last({arguments[0]})), or index(last({arguments[0]}), 0)"
            if _count(operand) > 1
            else None
        )
    if operand.function == "abs":
        return complaint(arguments[0]) if len(arguments) == 1 else "abs takes one number"
    if operand.function == "index":
        if len(arguments) != 2 or not _whole(arguments[1], 0):
            return "index takes a list and a position from 0: index(last(10), 0)"
        trouble = _list_complaint(arguments[0])
        if trouble is None and int(str(arguments[1])) >= _count(arguments[0]):
            return f"position {arguments[1]} is beyond the list (the first is 0)"
        return trouble
    return _list_complaint(arguments[0]) if len(arguments) == 1 else f"{operand.function} takes one list"


def _list_complaint(operand: Any) -> str | None:
    if not isinstance(operand, Call) or operand.function != "last":
        return "a list of past numbers is written last(10)"
    if len(operand.arguments) > 1 or (operand.arguments and not _whole(operand.arguments[0], 1)):
        return "last takes a whole number of runs, at least 1"
    return None


def _whole(operand: Any, least: int) -> bool:
    return isinstance(operand, Decimal) and operand == operand.to_integral_value() and operand >= least


def _count(operand: Any) -> int:
    return int(operand.arguments[0]) if operand.arguments else 1


def worked_out(condition: Condition, points: Sequence[Point]) -> Condition:
    """Resolve historical functions of a condition to numbers.

    Raises:
        TooShort: the series has fewer runs than a function needs, or a function has no finite value.
    """
    newest_first = [point.value for point in reversed(points)]
    resolved = (
        _resolved(operand, newest_first) if isinstance(operand, Call | Arithmetic) else operand
        for operand in condition.operands
    )
    return replace(condition, operands=tuple(resolved)) if asks(condition) else condition


def _resolved(operand: Call | Arithmetic, newest_first: Sequence[float]) -> Decimal:
    """Return the number of an operand; raises TooShort where it has none."""
    try:
        number = _number(operand, newest_first)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise TooShort("a function of earlier runs has no finite value")
    return Decimal(repr(number))


def _number(operand: Any, newest_first: Sequence[float]) -> float:
    if isinstance(operand, Decimal):
        return float(operand)
    if isinstance(operand, Arithmetic):
        left, right = _number(operand.left, newest_first), _number(operand.right, newest_first)
        if operand.operator == "/" and right == 0:
            raise TooShort("a function of earlier runs divides by zero")
        return {"+": left + right, "-": left - right, "*": left * right}.get(operand.operator, left / (right or 1))
    if operand.function == "last":
        return _list(operand, newest_first)[0]
    if operand.function == "abs":
        return abs(_number(operand.arguments[0], newest_first))
    if operand.function == "index":
        return _list(operand.arguments[0], newest_first)[int(operand.arguments[1])]
    return float(OF_LISTS[operand.function](_list(operand.arguments[0], newest_first)))


def _list(operand: Call, newest_first: Sequence[float]) -> Sequence[float]:
    count = _count(operand)
    if len(newest_first) < count:
        raise TooShort(f"not judged: {len(newest_first)} of the {count} earlier runs that it compares with")
    return newest_first[:count]
