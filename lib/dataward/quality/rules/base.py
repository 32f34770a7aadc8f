"""What every rule kind is built from: the parsed statement, and the two families of rules.

A **table rule** comes to one number; when its condition does not hold, the run stops. A **row rule** judges every row;
rows that fail go to the quarantine. The share of rows that pass is its measured value, so a row rule and its rows
never disagree: both come from :meth:`RowRule.predicate`.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import ClassVar

from dataward.quality.conditions import Condition
from dataward.quality.metrics import Metric, Values

__all__ = ["Key", "RowRule", "Rule", "RuleError", "Statement", "TableRule", "duplicate_flag"]


class RuleError(ValueError):
    """A statement that is well formed but makes no rule; carries its line within the ruleset."""

    def __init__(self, line: int, what: str, remedy: str = "") -> None:
        self.line, self.what, self.remedy = line, what, remedy
        super().__init__(what)


@dataclass(frozen=True)
class Statement:
    """One parsed DQDL statement, before anyone asked whether such a rule exists. ``line`` counts from 1."""

    name: str
    parameters: tuple[str, ...] = ()
    condition: Condition | None = None
    where: str | None = None
    threshold: Condition | None = None
    labels: tuple[tuple[str, str], ...] = ()
    line: int = 1
    text: str = ""


@dataclass(frozen=True)
class Key:
    """Columns whose combination should occur once, among rows that meet ``where`` (SQL)."""

    columns: tuple[str, ...]
    where: str | None = None


@dataclass(frozen=True)
class Rule:
    """Base of all kinds. Class attributes say what a statement of the kind may hold; ``__post_init__`` checks it."""

    statement: Statement

    name: ClassVar[str]
    parameters: ClassVar[tuple[int, int | None]] = (1, 1)
    condition: ClassVar[str] = "number"  # number, value, duration, type, or "" for none
    takes_where: ClassVar[bool] = True
    takes_threshold: ClassVar[bool] = False

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
            wanted = str(least) if least == most else f"{least} or more" if most is None else f"{least} to {most}"
            self.refuse(f"{self.name} takes {wanted} parameter(s), not {count}", f'e.g. {self.name} "column"')
        if self.condition and said.condition is None:
            self.refuse(f"{self.name} needs a condition", "add one, such as '> 0.95'")
        if not self.condition and said.condition is not None:
            self.refuse(f"{self.name} takes no condition", f"remove '{said.condition}'")
        if said.where is not None and not self.takes_where:
            self.refuse(f"{self.name} takes no 'where'", "remove it")
        if said.threshold is not None and not self.takes_threshold:
            self.refuse(f"{self.name} takes no 'with threshold'", "put the bound into its condition")
        numeric = [said.threshold] if said.threshold else []
        if self.condition == "number" and said.condition:
            numeric.append(said.condition)
        for condition in numeric:
            if condition.operator == "matches" or not all(isinstance(o, Decimal) for o in condition.operands):
                self.refuse(f"{self.name} compares with numbers", f"'{condition}' is none")
        severity = dict(said.labels).get("severity", "error")
        if severity not in ("error", "warning"):
            self.refuse(f"severity '{severity}' is unknown", "use 'error' or 'warning'")

    def refuse(self, what: str, remedy: str = "") -> None:
        raise RuleError(self.statement.line, what, remedy)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the rule needs to exist."""
        return self.statement.parameters

    @property
    def text(self) -> str:
        return self.statement.text

    @property
    def warns_only(self) -> bool:
        return dict(self.statement.labels).get("severity") == "warning"

    def __str__(self) -> str:
        return self.text


class TableRule(Rule):
    """A rule about the table as a whole."""

    def metrics(self) -> tuple[Metric, ...]:
        raise NotImplementedError

    def measure(self, values: Values) -> float | None:
        """The rule's number; by default that of its only metric."""
        return values[self.metrics()[0]]

    def passes(self, measured: float) -> bool:
        assert self.statement.condition is not None  # noqa: S101 - held by check()
        return self.statement.condition.holds(measured)


class RowRule(Rule):
    """A rule that every row passes or fails by itself."""

    takes_threshold: ClassVar[bool] = True

    def predicate(self, now: datetime) -> str:
        """SQL that is true for a row that passes and false for one that fails; rows outside ``where`` aside.

        Uniqueness is no property of a row alone: such rules name their :meth:`unique_keys` and read the flag columns
        :func:`duplicate_flag`, which say that a row's key occurs more than once.
        """
        raise NotImplementedError

    def unique_keys(self) -> tuple[Key, ...]:
        return ()

    def metrics(self, now: datetime) -> tuple[Metric, ...]:
        """What must be measured to know how many rows fail: first the rows judged, then the share that passes."""
        where = self.statement.where
        return Metric("size", where=where), Metric("compliance", self.columns, where, self.predicate(now))

    def failed(self, values: Values, now: datetime) -> int:
        """Number of rows that fail, from the measured metrics."""
        rows, share = (values[metric] for metric in self.metrics(now))
        return round((rows or 0) * (1 - share)) if share is not None else 0

    def row_predicate(self, now: datetime) -> str:
        """The predicate with ``where`` worked in: rows that it does not speak of pass."""
        if self.statement.where is None:
            return self.predicate(now)
        return f"(not coalesce({self.statement.where}, false) or {self.predicate(now)})"

    def passes(self, share: float) -> bool:
        """Whether the share of rows that pass (0 to 1) is enough: all of them, unless a threshold says otherwise."""
        threshold = self.statement.threshold
        return share == 1.0 if threshold is None else threshold.holds(share)


def duplicate_flag(key: Key) -> str:
    """Name of the boolean column that says of a row that its key occurs more than once."""
    return f"__duplicate_{zlib.crc32(repr(key).encode()):08x}"
