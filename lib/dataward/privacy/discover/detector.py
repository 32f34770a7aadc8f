"""Model of a detector: patterns, their checks, and the words beside the values that it searches."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

__all__ = ["Check", "Detector", "Pattern"]

Check = Callable[[Sequence[str]], Sequence[bool]]
"""Which of some texts pass; the texts are of the pattern's shape, folded."""


@dataclass(frozen=True)
class Pattern:
    """One shape of a class.

    ``regex`` is in RE2's syntax (which cannot run away) and is met by a whole value. ``chance`` is the share of texts of this
    shape that pass ``check`` though they are something else (1 without a check: the shape is all there is to see);
    ``expected`` the share of the real ones that pass. ``odds`` are natural logarithms of odds: how much it speaks for the
    class, on its own, when every value of a column passes. ``inside``: where in longer text it is looked for, on its own
    ("alone"), near one of the detector's words ("near"), or never. ``dates``: dates are what it looks for.
    """

    name: str
    regex: str
    odds: float
    check: Check | None = None
    chance: float = 1.0
    expected: float = 0.98
    inside: str = ""
    dates: bool = False

    @property
    def bare(self) -> bool:
        """Whether its shape says next to nothing: without a name such texts are anything."""
        return self.odds < 0 and self.check is None

    @property
    def by_chance(self) -> float:
        """The share of other texts that a check lets through; of a shape without a check nothing is said."""
        return self.chance if self.check is not None else 0.0


@dataclass(frozen=True)
class Detector:
    """Everything known about one class.

    ``names`` are words by which columns of it are called, and which stand near it in text; ``named`` what such a column name
    adds to the odds; ``hints`` are words that may mean other things as well. ``halves`` are groups of hints that mean it together:
    where a column of another group stands in the same table, a hint counts as a name (``lat`` beside ``lon``). ``ignore`` lists texts that are never it;
    ``proximity`` is how many characters before a text a word counts as near; ``share`` the least share of a column's values.
    """

    class_: str
    explains: str
    patterns: tuple[Pattern, ...]
    names: tuple[str, ...]
    named: float = 5.0
    hints: tuple[str, ...] = ()
    hinted: float = 2.5
    halves: tuple[str, ...] = ()
    ignore: frozenset[str] = frozenset()
    proximity: int = 50
    share: float = 0.0

    @cached_property
    def phrases(self) -> tuple[tuple[str, ...], ...]:
        """Return the words of each name and hint."""
        return tuple(tuple(name.split()) for name in (*self.names, *self.hints))

    @property
    def of_dates(self) -> bool:
        """Whether a pattern matches dates."""
        return any(pattern.dates for pattern in self.patterns)

    def of_name(self, phrase: str, beside: Collection[str] = ()) -> float:
        """Return the log odds of a phrase in a column's name; ``beside`` holds the words of all column names of the table."""
        others = [half.split() for half in self.halves if phrase not in half.split()]
        whole = len(others) < len(self.halves) and any(word in beside for half in others for word in half)
        return self.named if whole or phrase not in self.hints else self.hinted
