r"""Detect regular expressions that take exponential time on some texts, before any text is read.

Java's engine backtracks. A pattern can take exponential time where a loop matches the same characters in two ways:
``(a+)+b``, ``(\w+\s?)*$``. In automata: the position automaton (Glushkov 1961) has a state that comes back to itself by two
different paths over one word (exponential degree of ambiguity: Weber and Seidl 1991), and after the loop something may fail.
Counted repeats are looked at as loops of a few rounds, and constructs without backtracking (possessive, atomic) as one step.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

__all__ = ["left_open", "runs_away"]

LARGEST = 150
"""Positions of a pattern; a larger one is not judged."""
ROUNDS = 3
"""Of a counted repeat, so many are looked at; one of ``MANY`` or more is a loop."""
MANY = 10

LAST = 0x10FFFF
Ranges = tuple[tuple[int, int], ...]
_CLASSES: dict[str, Ranges] = {
    "DIGIT": ((48, 57),),
    "SPACE": ((9, 13), (32, 32)),
    "WORD": ((48, 57), (65, 90), (95, 95), (97, 122)),
}
_JAVA = (
    (r"\\[pP]\{[^}]*\}", r"\\w"),
    (r"\\[hH]", r"\\s"),
    (r"\\z", r"\\Z"),
    (r"\(\?<(?=[A-Za-z])", "(?P<"),
    (r"\\k<(\w+)>", r"(?P=\1)"),
)
"""What Java writes in its own way, in Python's (``\\p{L}`` as letters)."""
_OPEN = (
    ("missing ), unterminated subpattern", "a '(' is not closed"),
    ("unbalanced parenthesis", "a ')' closes nothing"),
    ("unterminated character set", "a '[' is not closed"),
)
"""Mistakes that Python and Java have in common, by how Python's message begins."""


@dataclass(frozen=True)
class _Part:
    """What a part of a pattern begins and ends with, and whether it may be empty; each with the number of ways, at most 2."""

    first: Mapping[int, int]
    last: Mapping[int, int]
    empty: int


@dataclass
class _Positions:
    """The position automaton."""

    letters: list[Ranges] = field(default_factory=list)
    follow: list[dict[int, int]] = field(default_factory=list)
    ends: bool = False
    """Whether it contains a part that reads nothing and may fail."""

    def add(self, letters: Ranges) -> _Part:
        if len(self.letters) >= LARGEST:
            raise _TooLarge
        self.letters.append(letters)
        self.follow.append({})
        number = len(self.letters) - 1
        return _Part({number: 1}, {number: 1}, 0)

    def join(self, last: Mapping[int, int], first: Mapping[int, int]) -> None:
        for before, ways in last.items():
            self.follow[before] = _sum(self.follow[before], first, ways)


class _TooLarge(Exception):
    pass


@lru_cache(maxsize=1024)
def runs_away(pattern: str) -> bool:
    """Return whether a Java pattern can take exponential time; False where that cannot be decided."""
    if "&&" in pattern or "\\Q" in pattern:
        return False
    positions = _Positions()
    try:
        whole = _sequence(_parsed(pattern), positions)
    except (re.error, _TooLarge, RecursionError, OverflowError):
        return False
    loops = _ambiguous(positions)
    # Where a loop may be the end of the pattern, the first way through it is taken, and none is tried again.
    return bool(loops if positions.ends else loops - whole.last.keys())


def _parsed(pattern: str) -> Any:
    try:
        from re import _parser as parser  # type: ignore[attr-defined]
    except ImportError:  # Python 3.10
        import sre_parse as parser
    for theirs, ours in _JAVA:
        pattern = re.sub(theirs, ours, pattern)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return parser.parse(pattern)


def left_open(pattern: str) -> str:
    """Return which bracket of a pattern has no counterpart, so that no engine takes it; empty where none was found."""
    if "\\Q" in pattern:
        return ""
    try:
        _parsed(pattern)
    except re.error as error:
        return next((what for begin, what in _OPEN if error.msg.startswith(begin)), "")
    except (RecursionError, OverflowError):
        return ""
    return ""


def _sequence(items: Iterable[Any], positions: _Positions) -> _Part:
    whole = _Part({}, {}, 1)
    for item in items:
        whole = _after(whole, _part(item, positions), positions)
    return whole


def _after(left: _Part, right: _Part, positions: _Positions) -> _Part:
    positions.join(left.last, right.first)
    return _Part(
        _sum(left.first, right.first, left.empty),
        _sum(right.last, left.last, right.empty),
        min(2, left.empty * right.empty),
    )


def _part(item: Any, positions: _Positions) -> _Part:
    operation, given = str(item[0]), item[1]
    if operation in ("LITERAL", "NOT_LITERAL", "ANY", "IN"):
        return positions.add(_letters(item))
    if operation == "BRANCH":
        parts = [_sequence(branch, positions) for branch in given[1]]
        whole = _Part({}, {}, 0)
        for part in parts:
            empty = min(2, whole.empty + part.empty)
            whole = _Part(_sum(whole.first, part.first), _sum(whole.last, part.last), empty)
        return whole
    if operation == "SUBPATTERN":
        return _sequence(given[3], positions)
    if operation in ("MAX_REPEAT", "MIN_REPEAT"):
        least, most, body = given
        return _repeated(int(least), int(most), body, positions)
    if operation in ("POSSESSIVE_REPEAT", "ATOMIC_GROUP"):
        inside = given[2] if operation == "POSSESSIVE_REPEAT" else given
        made = positions.add(_first_letters(inside))
        return _Part(made.first, made.last, int(operation == "POSSESSIVE_REPEAT" and given[0] == 0))
    if operation == "AT" and str(given) == "AT_BEGINNING":
        return _Part({}, {}, 1)
    positions.ends = True  # $, \b, look-arounds and what was matched before
    return _Part({}, {}, 1)


def _repeated(least: int, most: int, body: Any, positions: _Positions) -> _Part:
    if most >= MANY:
        part = _sequence(body, positions)
        positions.join(part.last, part.first)
        return _Part(part.first, part.last, part.empty if least else 1)
    whole = _Part({}, {}, 1)
    for _ in range(min(least, ROUNDS)):
        whole = _after(whole, _sequence(body, positions), positions)
    for _ in range(min(most - least, ROUNDS)):
        part = _sequence(body, positions)
        whole = _after(whole, _Part(part.first, part.last, 1), positions)
    return whole


def _sum(left: Mapping[int, int], right: Mapping[int, int], times: int = 1) -> dict[int, int]:
    if not times:
        return dict(left)
    return {**left, **{key: min(2, left.get(key, 0) + ways * times) for key, ways in right.items()}}


# letters


def _letters(item: Any) -> Ranges:
    operation, given = str(item[0]), item[1]
    if operation == "LITERAL":
        return ((given, given),)
    if operation == "NOT_LITERAL":
        return _others(((given, given),))
    if operation == "ANY":
        return _others(((10, 10),))
    ranges: list[tuple[int, int]] = []
    for kind, value in given:
        name = str(kind)
        if name == "LITERAL":
            ranges.append((value, value))
        elif name == "RANGE":
            ranges.append((value[0], value[1]))
        elif name == "CATEGORY":
            negated, known = "_NOT_" in str(value), _CLASSES.get(str(value).rpartition("_")[2], ((0, LAST),))
            ranges += _others(known) if negated else known
    return _others(tuple(ranges)) if str(given[0][0]) == "NEGATE" else tuple(ranges)


def _first_letters(items: Any) -> Ranges:
    for item in items:
        if str(item[0]) in ("LITERAL", "NOT_LITERAL", "ANY", "IN"):
            return _letters(item)
    return ((0, LAST),)


def _others(ranges: Ranges) -> Ranges:
    found, start = [], 0
    for low, high in sorted(ranges):
        if low > start:
            found.append((start, low - 1))
        start = max(start, high + 1)
    return (*found, *([(start, LAST)] if start <= LAST else []))


def _meet(left: Ranges, right: Ranges) -> bool:
    return any(low <= other_high and other_low <= high for low, high in left for other_low, other_high in right)


# ambiguity


def _ambiguous(positions: _Positions) -> set[int]:
    """Return positions that reach themselves by two paths over one word."""
    follow = positions.follow
    together = _components(range(len(follow)), lambda state: follow[state])
    twice = {
        state
        for state, after in enumerate(follow)
        for next_, ways in after.items()
        if ways > 1 and together[state] == together[next_]
    }
    meet = {
        (one, two)
        for one in range(len(follow))
        for two in range(len(follow))
        if _meet(positions.letters[one], positions.letters[two])
    }

    def pairs(pair: tuple[int, int]) -> Iterator[tuple[int, int]]:
        for one in follow[pair[0]]:
            for two in follow[pair[1]]:
                if (one, two) in meet:
                    yield one, two

    of = _components(meet, pairs)
    apart = {component for (one, two), component in of.items() if one != two}
    return twice | {one for (one, two), component in of.items() if one == two and component in apart}


def _components(nodes: Iterable[Any], after: Callable[[Any], Iterable[Any]]) -> dict[Any, Any]:
    """Return an identifier of each node's strongly connected component (Kosaraju's algorithm)."""
    edges = {node: tuple(after(node)) for node in nodes}
    back: dict[Any, list[Any]] = {node: [] for node in edges}
    for node, others in edges.items():
        for other in others:
            back[other].append(node)
    component: dict[Any, Any] = {}
    for start in reversed(_postorder(edges)):
        waiting = [start] if start not in component else []
        while waiting:
            node = waiting.pop()
            if node not in component:
                component[node] = start
                waiting += back[node]
    return component


def _postorder(edges: Mapping[Any, Iterable[Any]]) -> list[Any]:
    seen: set[Any] = set()
    order = []
    for start in edges:
        work = [(start, iter(edges[start]))] if start not in seen else []
        seen.add(start)
        while work:
            node, rest = work[-1]
            for other in rest:
                if other not in seen:
                    seen.add(other)
                    work.append((other, iter(edges[other])))
                    break
            else:
                order.append(node)
                work.pop()
    return order
