"""``(IsComplete "a") or (IsUnique "b")``, ``not (RULE)``: rules joined.

By row: each row is judged by ``and`` / ``or`` / ``not`` of its own outcomes, as in SQL: a row that a part skips is
unknown to it. That needs row rules without thresholds. By column (Glue's default): each part comes to one outcome for
the table, and these are joined; nothing is diverted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, Literal

from dataward.quality.flags import Flag
from dataward.quality.metrics import Metric
from dataward.quality.past import Past
from dataward.quality.rules.base import RowRule, Rule, Statement

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
        return tuple(dict.fromkeys(column for part in self.parts for column in part.columns))

    @property
    def aliases(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(alias for part in self.parts for alias in part.aliases))

    def leaves(self) -> tuple[Rule, ...]:
        return tuple(leaf for part in self.parts for leaf in part.leaves())

    @property
    def asks_past(self) -> bool:
        return any(part.asks_past for part in self.parts)

    @property
    def series(self) -> str:
        return self.text

    def recalled(self, past: Past, now: datetime) -> Rule:
        return replace(self, parts=tuple(part.recalled(past, now) for part in self.parts))

    def typed(self, types: Mapping[str, str]) -> Rule:
        return replace(self, parts=tuple(part.typed(types) for part in self.parts))

    def flags(self) -> tuple[Flag, ...]:
        return tuple(dict.fromkeys(flag for part in self.parts for flag in part.flags()))


@dataclass(frozen=True)
class RowComposite(_Composite, RowRule):
    """A row passes when the joined outcomes of its parts are true, fails when they are false.

    Example::

        (ColumnValues "age" > 20) or (ColumnValues "age" = NULL) # 0.8, FAILED
        not (ColumnValues "age" = 12)          # 0.8, FAILED
    """

    def predicate(self, now: datetime) -> str:
        joined = self._joined(now)
        return f"coalesce({joined}, false)" if self.applies(now) else joined

    def applies(self, now: datetime) -> str | None:
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
        return tuple(metric for part in self.parts for metric in part.metrics(now))

    def combine(self, outcomes: list[bool | None]) -> bool | None:
        """``and`` / ``or`` / ``not`` of three-valued logic (Kleene's, as in SQL); None is unknown."""
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
