"""Rulesets as plain data. Rulesets are equal if their statements are equal, whatever the layout of their texts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from dataward.quality.conditions import Condition, Operand, quoted, shown

__all__ = ["Analyzer", "Joined", "RuleError", "Ruleset", "Statement"]


class RuleError(ValueError):
    """An invalid ruleset or statement; ``line`` counts from 1 within the ruleset."""

    def __init__(self, line: int, what: str, remedy: str = "") -> None:
        """Create an error with its line, what is wrong, and the remedy."""
        self.line, self.what, self.remedy = line, what, remedy
        super().__init__(what)


def _labels(labels: Iterable[tuple[str, str]]) -> str:
    return "[" + ", ".join(f"{quoted(key)}={quoted(value)}" for key, value in labels) + "]"


@dataclass(frozen=True)
class _Placed:
    """Base of entries: ``labels`` of an entry of ``Rules``, its original ``text`` on one line, and its ``line`` from 1."""

    labels: tuple[tuple[str, str], ...] = field(default=(), kw_only=True)
    line: int = field(default=1, kw_only=True, compare=False)
    text: str = field(default="", kw_only=True, compare=False)

    def _with_labels(self, entry: str) -> str:
        return f"{entry} labels={_labels(self.labels)}" if self.labels else entry


@dataclass(frozen=True)
class Statement(_Placed):
    """One rule: type, parameters, condition, ``where``, and tags (``with NAME condition``)."""

    name: str
    parameters: tuple[Any, ...] = ()  # str; Reference before the suite resolves it
    condition: Condition | None = None
    where: str | None = None
    tags: tuple[tuple[str, Condition], ...] = ()

    @property
    def threshold(self) -> Condition | None:
        """Condition of ``with threshold``."""
        return self.tag("threshold")

    def tag(self, name: str) -> Condition | None:
        """Return the condition of a tag; None where the statement has none of this name."""
        return dict(self.tags).get(name)

    def __str__(self) -> str:
        """Return the statement in DQDL."""
        parts = [self.name, *map(shown, self.parameters)]
        if self.condition is not None:
            parts.append(str(self.condition))
        if self.where is not None:
            parts.append(f"where {quoted(self.where)}")
        parts += [f"with {name} {condition}" for name, condition in self.tags]
        return self._with_labels(" ".join(parts))


@dataclass(frozen=True)
class Joined(_Placed):
    """Rules joined by ``and`` / ``or``, or one negated by ``not``."""

    operator: Literal["and", "or", "not"]
    parts: tuple[Statement | Joined, ...]

    def __str__(self) -> str:
        """Return the rule in DQDL."""
        if self.operator == "not":
            return self._with_labels(f"not ({self.parts[0]})")
        return self._with_labels(f" {self.operator} ".join(f"({part})" for part in self.parts))


@dataclass(frozen=True)
class Analyzer(_Placed):
    """One entry of ``Analyzers``: metrics to measure and report without a verdict."""

    name: str
    parameters: tuple[Any, ...] = ()

    def __str__(self) -> str:
        """Return the analyzer in DQDL."""
        return " ".join([self.name, *map(shown, self.parameters)])


@dataclass(frozen=True)
class Comment:
    """A comment ``# ...`` with the number of the entry that follows it, or precedes it on the same line (``trailing``)."""

    text: str
    section: str
    entry: int
    trailing: bool


@dataclass(frozen=True)
class Ruleset:
    """A whole document. Comments are printed, but do not count when rulesets are compared."""

    rules: tuple[Statement | Joined, ...] = ()
    analyzers: tuple[Analyzer, ...] = ()
    constants: tuple[tuple[str, Operand | tuple[Operand, ...]], ...] = ()
    default_labels: tuple[tuple[str, str], ...] = ()
    metadata: tuple[tuple[str, str | tuple[str, ...]], ...] = ()
    sources: tuple[tuple[str, str | tuple[str, ...]], ...] = ()
    comments: tuple[Comment, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        """Return DQDL with one entry per line, which parses to an equal ruleset."""
        lines: list[str] = []
        for name, pairs in (("Metadata", self.metadata), ("DataSources", self.sources)):
            if pairs:
                entries = ", ".join(f"{quoted(key)}: {_pair_value(value)}" for key, value in pairs)
                lines.append(f"{name} = {{{entries}}}")
        lines += self._comments("head", 0)
        lines += [f"{name} = {_constant(value)}" for name, value in self.constants]
        if self.default_labels:
            lines.append(f"DefaultLabels = {_labels(self.default_labels)}")
        if lines:
            lines.append("")
        commented = {comment.section for comment in self.comments}
        if self.rules or not self.analyzers or "Rules" in commented:
            lines += self._section("Rules", self.rules)
        if self.analyzers or "Analyzers" in commented:
            lines += [*([""] if lines and lines[-1] else []), *self._section("Analyzers", self.analyzers)]
        return "\n".join(lines + self._comments("tail", 0)) + "\n"

    def _section(self, name: str, entries: tuple[Any, ...]) -> list[str]:
        lines = [f"{name} = ["]
        for number, entry in enumerate(entries):
            comma = "," if number < len(entries) - 1 else ""
            trailing = "".join(f"  {comment}" for comment in self._comments(name, number, trailing=True))
            lines += [f"  {comment}" for comment in self._comments(name, number)]
            lines.append(f"  {entry}{comma}{trailing}")
        return [*lines, *(f"  {comment}" for comment in self._comments(name, len(entries))), "]"]

    def _comments(self, section: str, entry: int, trailing: bool = False) -> list[str]:
        return [c.text for c in self.comments if (c.section, c.entry, c.trailing) == (section, entry, trailing)]


def _constant(value: Operand | tuple[Operand, ...]) -> str:
    return "[" + ", ".join(map(shown, value)) + "]" if isinstance(value, tuple) else shown(value)


def _pair_value(value: str | tuple[str, ...]) -> str:
    return quoted(value) if isinstance(value, str) else "[" + ", ".join(map(quoted, value)) + "]"
