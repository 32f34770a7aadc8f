"""``(IsComplete "a") or (IsUnique "b")``, ``not (RULE)``: rules joined by operators.

By row, ``and`` / ``or`` / ``not`` join the outcomes of each row, as in SQL: a part that skips a row is unknown. This needs row
rules without thresholds. By column (Glue's default), each part has one outcome for the table, and these are joined; no row is
diverted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, Literal

from dataward.quality.flags import Flag
from dataward.quality.metrics import Metric
from dataward.quality.past import Past
from dataward.quality.rules.base import Rule, Statement
from dataward.quality.rules.families import RowRule

__all__ = ["RowComposite", "TableComposite", "composite"]


@dataclass(frozen=True)
class _Composite(Rule):
    operator: Literal["and", "or", "not"] = "and"
    parts: tuple[Rule, ...] = ()

    name: ClassVar[str] = "Composite"
    condition: ClassVar[str] = ""
    parameters: ClassVar[tuple[int, int | None]] = (0, 0)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the source that the rule reads."""
        return tuple(dict.fromkeys(column for part in self.parts for column in part.columns))

    @property
    def aliases(self) -> tuple[str, ...]:
        """References that the rule reads."""
        return tuple(dict.fromkeys(alias for part in self.parts for alias in part.aliases))

    def leaves(self) -> tuple[Rule, ...]:
        """Return the composed rules."""
        return tuple(leaf for part in self.parts for leaf in part.leaves())

    @property
    def asks_past(self) -> bool:
        """Whether a part compares with earlier runs."""
        return any(part.asks_past for part in self.parts)

    @property
    def series(self) -> str:
        """Name in the history of runs."""
        return self.text

    def recalled(self, past: Past, now: datetime) -> Rule:
        """Return the rule with numbers of earlier runs in its parts."""
        return replace(self, parts=tuple(part.recalled(past, now) for part in self.parts))

    def typed(self, types: Mapping[str, str]) -> Rule:
        """Return the rule for columns of these types."""
        return replace(self, parts=tuple(part.typed(types) for part in self.parts))

    def flags(self) -> tuple[Flag, ...]:
        """Return the flags that the rule needs."""
        return tuple(dict.fromkeys(flag for part in self.parts for flag in part.flags()))


@dataclass(frozen=True)
class RowComposite(_Composite, RowRule):
    """A row passes when the joined outcomes of its parts are true, fails when they are false.

    Example::

        (ColumnValues "age" > 20) or (ColumnValues "age" = NULL) # 0.8, FAILED
        not (ColumnValues "age" = 12)          # 0.8, FAILED
    """

    def predicate(self, now: datetime) -> str:
        """Return SQL of the condition that a row must meet, never null."""
        joined = self._joined(now)
        return f"coalesce({joined}, false)" if self.applies(now) else joined

    def applies(self, now: datetime) -> str | None:
        """Return SQL of the condition under which a row is evaluated; None for every row."""
        some_skip = any(part.applies(now) for part in self.parts if isinstance(part, RowRule))
        return f"({self._joined(now)} is not null)" if some_skip else None

    def _joined(self, now: datetime) -> str:
        parts = [part.outcome(now) for part in self.parts if isinstance(part, RowRule)]
        return f"(not {parts[0]})" if self.operator == "not" else "(" + f" {self.operator} ".join(parts) + ")"


@dataclass(frozen=True)
class TableComposite(_Composite):
    """Passes when the joined outcomes of its parts are true; a part that is skipped is unknown.

    Example::

        (RowCount > 3) and (IsComplete "id")   # none, PASSED
        (RowCount > 9) or (IsComplete "mail")  # none, FAILED
    """

    def metrics(self, now: datetime) -> tuple[Metric, ...]:
        """Return the metrics that the rule needs."""
        return tuple(metric for part in self.parts for metric in part.metrics(now))

    def combine(self, outcomes: list[bool | None]) -> bool | None:
        """Join outcomes by three-valued logic (Kleene's, as in SQL); None is unknown."""
        if self.operator == "not":
            return None if outcomes[0] is None else not outcomes[0]
        decisive = self.operator == "or"
        if decisive in outcomes:
            return decisive
        return None if None in outcomes else not decisive


def composite(
    statement: Statement, operator: Literal["and", "or", "not"], parts: tuple[Rule, ...], by_row: bool = True
) -> Rule:
    """Join parts; ``statement`` holds the line, text and labels of the whole."""
    rows = all(isinstance(part, RowRule) and part.statement.threshold is None for part in parts)
    return (RowComposite if by_row and rows else TableComposite)(statement, operator, parts)
