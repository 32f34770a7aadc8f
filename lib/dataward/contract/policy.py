"""A policy: what every table of a house must do to each class of data. A contract may do more, never less.

How much an operator takes away, from least to most: nothing (``keep``); a part (``mask``, ``generalize``, ``date_shift``,
``perturb``); everything but for who has the key (``fpe``, ``encrypt``, ``encrypt_random``, ``vault``, ``shred``); everything
for good, while equal values stay equal (``token``, ``pick``); all of it (``redact``, ``null``, ``drop``).
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, Literal

from pydantic import Field

from dataward.contract.base import Model, Name
from dataward.contract.protections import Column, Json, Protection

__all__ = ["ClassPolicy", "Policy"]

STRENGTH = {
    "keep": 0, "mask": 1, "redact_text": 1, "generalize": 1, "date_shift": 1, "perturb": 1, "fpe": 2, "encrypt": 2, "encrypt_random": 2,
    "vault": 2, "shred": 2, "token": 3, "pick": 3, "redact": 4, "null": 4, "drop": 4,
}  # fmt: skip
REVERSIBLE = frozenset({"fpe", "encrypt", "encrypt_random", "vault", "shred"})
SHOWS_MORE = {"mask": ("keep_first", "keep_last"), "fpe": ("keep_first", "keep_last"), "generalize": ("prefix",)}
"""Parameters that show the more the larger they are; others show the less."""
SHOWS_LESS = {"token": ("bits",), "date_shift": ("days",), "perturb": ("scale",), "generalize": ("width", "level")}
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
    frequency: Literal["warn", "refuse"] = Field(
        default="warn", description="what happens where counting alone would give away a share of a column"
    )
    frequency_share: float = Field(default=0.2, gt=0, le=1, description="the share from which on that counts")

    def by_name(self, path: str) -> Column | None:
        """The line for a column (or path) that is known by its name, or by the last part of it; case does not count."""
        names = {path.lower(), path.lower().rpartition(".")[2]}
        for class_, given in self.classes.items():
            if any(fnmatchcase(name, pattern.lower()) for pattern in given.columns for name in names):
                return Column.model_validate({"class": class_, "protect": given.protect})
        return None

    def too_little(self, path: str, line: Column) -> Iterator[tuple[str, str]]:
        """In what a contract's line does less than the policy: (what, remedy)."""
        if line.class_ is None and (named := self.by_name(path)) and STRENGTH[_weakest(line.protect)] == 0:
            what = f"'{path}' is of class {named.class_} by its name in policy '{self.policy}', and is kept"
            yield what, f"protect it by {named.protect.op}, or say what it is with 'class'"
        given = self.classes.get(line.class_ or "")
        if given is None:
            return
        for protection in _all(line.protect):
            if given.one_way and protection.op in REVERSIBLE:
                what = f"{protection.op} can be reversed, and class {line.class_} is one-way in policy '{self.policy}'"
                yield what, "use token, redact or drop"
            elif not _at_least(protection, given.protect):
                what = f"{protection.op} does less than policy '{self.policy}' asks for class {line.class_}"
                yield what, f"it asks for {given.protect.op} or more (leave 'protect' out to do just that)"


def _all(protection: Any) -> list[Any]:
    """A protection and whatever it hands values to."""
    fallback = getattr(getattr(protection, "invalid", None), "fallback", None)
    inside = (
        [protection.rest, *(line.protect for line in protection.fields.values())]
        if isinstance(protection, Json)
        else []
    )
    below = [inner for one in [*inside, *([fallback] if fallback else [])] for inner in _all(one)]
    return below if isinstance(protection, Json) else [protection, *below]


def _weakest(protection: Any) -> str:
    return min((str(one.op) for one in _all(protection)), key=lambda op: STRENGTH[op])


def _at_least(given: Any, asked: Any) -> bool:
    """Whether an operator takes away as much as another, and with the same operator its parameters show no more."""
    if given.op != asked.op:
        # Within a rank one does not stand for the other: a mask shows what a date shift hides.
        return STRENGTH[given.op] > STRENGTH.get(asked.op, 0) or STRENGTH[given.op] == 4
    if given.op == "generalize" and given.part and asked.part:
        return PARTS.index(given.part) >= PARTS.index(asked.part)
    more, less = SHOWS_MORE.get(given.op, ()), SHOWS_LESS.get(given.op, ())
    for name in (*more, *less):
        mine, theirs = getattr(given, name), getattr(asked, name)
        if (mine is None) != (theirs is None):
            return False
        if mine is not None and (mine > theirs if name in more else mine < theirs):
            return False
    left_out = {"invalid", "char", "with_", "reason", "length", *more, *less}
    return bool(given.model_dump(exclude=left_out) == asked.model_dump(exclude=left_out))
