"""A policy: what every table of a house must do to each class of data. A contract may do more, never less.

Operators are compared by their own facts (``dataward.contract.operation``): how much they take away, and which parameters
show more or less.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, Literal

from pydantic import Field, field_validator

from dataward.contract.approvals import key_of
from dataward.contract.base import Model, Name
from dataward.contract.operation import KEPT, REMOVED, Operation
from dataward.contract.protections import Column, Json, Protection

__all__ = ["ClassPolicy", "Policy"]

PARTS = ("hour", "day", "week", "month", "quarter", "year", "decade")


class ClassPolicy(Model):
    """What is done to one class."""

    protect: Protection
    one_way: bool = Field(default=False, description="no operator that can be reversed, whatever the contract says")
    columns: tuple[str, ...] = Field(
        default=(), description="names that mark a column of this class where no line speaks for it, e.g. '*email*'"
    )


class Policy(Model):
    """Protections by class."""

    policy: Name
    classes: dict[str, ClassPolicy] = Field(min_length=1)
    approvers: dict[str, str] = Field(
        default_factory=dict,
        description="Ed25519 public keys (PEM) by name: what they sign may do less than the policy ('dataward access approve')",
    )
    frequency: Literal["warn", "refuse"] = Field(
        default="warn", description="what happens where counting alone would give away a share of a column"
    )
    frequency_share: float = Field(default=0.2, gt=0, le=1, description="the share from which on that counts")

    @field_validator("approvers", mode="after")
    @classmethod
    def _are_keys(cls, approvers: dict[str, str]) -> dict[str, str]:
        for name, text in approvers.items():
            try:
                key_of(text)
            except ValueError as error:
                raise ValueError(
                    f"approver '{name}': {error}; make one with: openssl genpkey -algorithm ed25519"
                ) from None
        return approvers

    def by_name(self, path: str) -> Column | None:
        """Return the entry for a column or path by its name, or by the last part of it, without case."""
        names = {path.lower(), path.lower().rpartition(".")[2]}
        for class_, given in self.classes.items():
            if any(fnmatchcase(name, pattern.lower()) for pattern in given.columns for name in names):
                return Column.model_validate({"class": class_, "protect": given.protect})
        return None

    def too_little(self, path: str, line: Column) -> Iterator[tuple[str, str]]:
        """Yield (problem, remedy) where a contract's entry protects less than the policy."""
        if line.class_ is None and (named := self.by_name(path)) and _weakest(line.protect) == KEPT:
            what = f"'{path}' is of class {named.class_} by its name in policy '{self.policy}', and is kept"
            yield what, f"protect it by {named.protect.op}, or say what it is with 'class'"
        given = self.classes.get(line.class_ or "")
        if given is None:
            return
        for protection, asked in _pairs(line.protect, given.protect):
            if given.one_way and protection.reversible:
                what = f"{protection.op} can be reversed, and class {line.class_} is one-way in policy '{self.policy}'"
                yield what, "use token, redact or drop"
            elif not _at_least(protection, asked):
                what = f"{protection.op} does less than policy '{self.policy}' asks for class {line.class_}"
                yield what, f"it asks for {asked.op} or more (leave 'protect' out to do just that)"


def _pairs(given: Operation, asked: Operation) -> Iterator[tuple[Operation, Operation]]:
    """Yield each operator that may be applied to a value, with the one that the policy demands there."""
    if isinstance(given, Json) and isinstance(asked, Json):
        for path in {**given.fields, **asked.fields}:
            yield from _pairs(given.at(path), asked.at(path))
        yield from _pairs(given.rest, asked.rest)
        return
    for protection in given.parts():
        for wanted in asked.parts() if isinstance(asked, Json) else (asked,):
            yield protection, wanted


def _weakest(protection: Operation) -> int:
    return min(part.strength for part in protection.parts())


def _at_least(given: Any, asked: Any) -> bool:
    """Return whether an operator hides at least as much as another; the same operator must not show more by its parameters."""
    if given.op != asked.op:
        # Within a strength one does not stand for the other: a mask shows what a date shift hides.
        return bool(given.strength > asked.strength or given.strength == REMOVED)
    if given.op == "generalize" and given.part and asked.part:
        return PARTS.index(given.part) >= PARTS.index(asked.part)
    more, less = given.shows_more, given.shows_less
    for name in (*more, *less):
        mine, theirs = getattr(given, name), getattr(asked, name)
        if (mine is None) != (theirs is None):
            return False
        if mine is not None and (mine > theirs if name in more else mine < theirs):
            return False
    if any(not set(getattr(given, name)) >= set(getattr(asked, name)) for name in given.hides_more):
        return False
    left_out = {"invalid", "char", "with_", "reason", "length", *more, *less, *given.hides_more}
    return bool(given.model_dump(exclude=left_out) == asked.model_dump(exclude=left_out))
