"""``(IsComplete "a") or (IsUnique "b")``: rules joined by ``and`` and ``or``.

When every part is a row rule without a threshold, the whole is a row rule: each row is judged by ``and`` / ``or`` of
its own outcomes (Glue's composite evaluation by row). Otherwise each part comes to one outcome for the table, and these
are joined; nothing is diverted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal

from dataward.quality.rules.base import Key, RowRule, Rule, Statement

__all__ = ["RowComposite", "TableComposite", "composite"]


@dataclass(frozen=True)
class _Composite(Rule):
    operator: Literal["and", "or"] = "and"
    parts: tuple[Rule, ...] = ()

    name: ClassVar[str] = "Composite"
    condition: ClassVar[str] = ""
    parameters: ClassVar[tuple[int, int | None]] = (0, 0)

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(column for part in self.parts for column in part.columns))


@dataclass(frozen=True)
class RowComposite(_Composite, RowRule):
    def unique_keys(self) -> tuple[Key, ...]:
        return tuple(key for part in self.parts if isinstance(part, RowRule) for key in part.unique_keys())

    def predicate(self, now: datetime) -> str:
        parts = [part.row_predicate(now) for part in self.parts if isinstance(part, RowRule)]
        return "(" + f" {self.operator} ".join(parts) + ")"


@dataclass(frozen=True)
class TableComposite(_Composite):
    def combine(self, outcomes: list[bool]) -> bool:
        return all(outcomes) if self.operator == "and" else any(outcomes)


def composite(statement: Statement, operator: Literal["and", "or"], parts: tuple[Rule, ...]) -> Rule:
    """Join parts; ``statement`` holds the line, text and labels of the whole."""
    by_row = all(isinstance(part, RowRule) and part.statement.threshold is None for part in parts)
    return (RowComposite if by_row else TableComposite)(statement, operator, parts)
