"""Read a YAML file with the line of every value, so that an error can name it.

YAML 1.2's core schema is used: ``on``, ``yes`` and ``no`` are plain words, dates stay text and keys are text (YAML 1.1, PyYAML's
default, would read the key ``on`` of a merge as ``true``). The data is built from the parser's events, not by PyYAML's own
constructor: that one expands aliases without limit, never ends on recursive ones, and raises ValueError on some numbers.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from dataward.errors import ContractError, Problem

__all__ = ["Document"]

Place = tuple[str | int, ...]

LONGEST = 1_000_000
"""Largest size of a file in bytes."""
DEEPEST = 50
"""Maximum levels of nesting; a contract has ten."""
REPEATED = 10_000
"""Maximum number of values that all aliases together repeat."""
LARGEST = 2**63 - 1
MOST = 100
"""Mistakes after which a file is not read on."""

_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml, where available, is fifteen times as fast
_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = (None, "!", f"{_TAG}str", f"{_TAG}map", f"{_TAG}seq")


@dataclass(frozen=True)
class Document:
    """Data of a YAML file, the lines (from 1) of its keys, and mistakes found while reading."""

    file: str
    data: Any
    lines: dict[Place, int]
    problems: tuple[Problem, ...] = ()
    scalar_starts: dict[Place, int] = field(default_factory=dict)

    def line_of(self, place: Place) -> int:
        """Return the line of a value, or of the nearest mapping or list around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def text_start(self, place: Place) -> int:
        """Return the line on which a text begins; for a block scalar the line below its ``|``."""
        return self.scalar_starts.get(place, self.line_of(place))

    @classmethod
    def read(cls, path: str | Path) -> Document:
        """Read a file.

        Raises:
            ContractError: the file is missing, is not UTF-8, is not YAML, or exceeds the limits of a contract.
        """
        file = str(path)

        def refuse(what: str, remedy: str, line: int = 0) -> ContractError:
            return ContractError([Problem(file, line, "", what, remedy)])

        try:
            with Path(path).open("rb") as opened:
                raw = opened.read(LONGEST + 1)
            text = raw.decode("utf-8-sig")
        except FileNotFoundError:
            raise refuse("there is no such file", "check its path") from None
        except IsADirectoryError:
            raise refuse("this is a directory", "name the YAML file itself") from None
        except UnicodeDecodeError as error:
            raise refuse(f"the file is not UTF-8 (byte {error.start})", "save it as UTF-8") from None
        except (OSError, ValueError):  # ValueError: a path that no file system accepts
            raise refuse("the file cannot be read", "give this user the right to read it") from None
        if len(raw) > LONGEST:
            raise refuse(
                f"the file is larger than {LONGEST:,} bytes", "a contract is text of some kilobytes: check the path", 1
            )
        return cls.parse(text, file)

    @classmethod
    def parse(cls, text: str, file: str = "contract.yaml") -> Document:
        """Parse a text.

        Raises:
            ContractError: the text is not YAML, or exceeds the limits of values, levels or documents.
        """
        builder = _Builder(file)
        try:
            for event in yaml.parse(text, Loader=_PARSER):
                builder.take(event)
        except yaml.YAMLError as error:
            raise ContractError([_unreadable(error, text, file)]) from None
        return cls(file, builder.data, builder.lines, tuple(builder.problems), builder.starts)


def _unreadable(error: yaml.YAMLError, text: str, file: str) -> Problem:
    mark = getattr(error, "problem_mark", None)
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, int(error.position)) + 1
        return Problem(file, line, "", "not YAML: a control character stands here", "remove it")
    line = mark.line + 1 if mark else 1
    written = text.splitlines()[line - 1 : line]
    if written and "\t" in written[0][: len(written[0]) - len(written[0].lstrip())]:
        return Problem(file, line, "", "not YAML: the line begins with a tab", "indent with spaces, not tabs")
    if getattr(error, "problem", "") == "exceeded maximum nesting depth":
        return _too_deep(file, line)
    what = str(getattr(error, "problem", None) or "unreadable")
    return Problem(file, line, "", f"not YAML: {what}", "check indentation, colons and quotes here")


def _too_deep(file: str, line: int) -> Problem:
    return Problem(
        file, line, "", f"values are nested more than {DEEPEST} levels deep", "check brackets and indentation"
    )


@dataclass
class _Open:
    """A mapping or list whose end has not been read yet."""

    value: dict[str, Any] | list[Any]
    place: Place
    anchor: str | None
    count: int = 1
    deep: int = 1
    key: str | None = None
    seen: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Whole:
    """A complete value, with the number of values in it (itself included) and its depth."""

    value: Any
    count: int = 1
    deep: int = 0


class _Builder:
    """Builder of data, lines and mistakes from a parser's events, without recursion."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.data: Any = None
        self.lines: dict[Place, int] = {}
        self.starts: dict[Place, int] = {}
        self.problems: list[Problem] = []
        self._open: list[_Open] = []
        self._anchored: dict[str, _Whole] = {}
        self._repeated = 0
        self._documents = 0

    def take(self, event: Any) -> None:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise self._refused(
                    line, "a second YAML document begins here", "keep one document in a file, without '---'"
                )
        elif isinstance(event, yaml.CollectionStartEvent):
            self._begin(event, line)
        elif isinstance(event, yaml.CollectionEndEvent):
            ended = self._open.pop()
            whole = _Whole(ended.value, ended.count, ended.deep)
            if ended.anchor:
                self._anchored[ended.anchor] = whole
            self._add(whole)
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event, line)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event, line)

    def _refused(self, line: int, what: str, remedy: str) -> ContractError:
        return ContractError([*self.problems, Problem(self.file, line, _written(self._place()), what, remedy)])

    def _mistake(self, line: int, what: str, remedy: str) -> None:
        self.problems.append(Problem(self.file, line, _written(self._place()), what, remedy))
        if len(self.problems) >= MOST:
            raise ContractError(self.problems)

    def _place(self) -> Place:
        """Return the place of the next value."""
        if not self._open:
            return ()
        around = self._open[-1]
        if isinstance(around.value, list):
            return (*around.place, len(around.value))
        return around.place if around.key is None else (*around.place, around.key)

    def _awaits_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].value, dict) and self._open[-1].key is None

    def _begin(self, event: Any, line: int) -> None:
        if self._awaits_key():
            raise self._refused(
                line, "a list or mapping cannot be a key", "write the key as text, in quotes if need be"
            )
        if len(self._open) >= DEEPEST:
            raise ContractError([_too_deep(self.file, line)])
        self._check_tag(event.tag, line)
        place = self._place()
        self.lines.setdefault(place, line)
        container: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._open.append(_Open(container, place, event.anchor))

    def _scalar(self, event: Any, line: int) -> None:
        if self._awaits_key():
            self._begin_entry(event, line)
            return
        place = self._place()
        self.lines.setdefault(place, line)
        self.starts[place] = line + (1 if event.style in ("|", ">") else 0)
        plain = event.style in (None, "") and event.tag is None
        self._check_tag(event.tag, line)
        whole = _Whole(self._core(event.value, line) if plain else event.value)
        if event.anchor:
            self._anchored[event.anchor] = whole
        self._add(whole)

    def _begin_entry(self, event: Any, line: int) -> None:
        around, name = self._open[-1], str(event.value)
        if not name.strip():
            self._mistake(line, "a key is empty", "name it, or remove it")
        if name in around.seen:
            what = f"'{name}' stands here twice (first on line {around.seen[name]})"
            self._mistake(line, what, "remove one of the two")
        if event.anchor:
            self._anchored[event.anchor] = _Whole(name)
        around.key, around.seen[name] = name, line
        place: Place = (*around.place, name)
        self.lines[place] = line

    def _alias(self, event: Any, line: int) -> None:
        name = event.anchor
        if any(holder.anchor == name for holder in self._open):
            raise self._refused(line, f"*{name} stands inside of what it repeats", "write out what is meant here")
        if name not in self._anchored:
            raise self._refused(
                line, f"*{name} repeats what is named nowhere above", f"name it: &{name}, or put it in quotes"
            )
        if self._awaits_key():
            raise self._refused(line, f"*{name} cannot be a key", "write the key as text")
        whole = self._anchored[name]
        self._repeated += whole.count
        if self._repeated > REPEATED:
            raise self._refused(
                line, f"aliases repeat more than {REPEATED:,} values up to here", "write out what is meant"
            )
        if len(self._open) + whole.deep > DEEPEST:
            raise ContractError([_too_deep(self.file, line)])
        self._add(whole)

    def _add(self, whole: _Whole) -> None:
        if not self._open:
            self.data = whole.value
            return
        around = self._open[-1]
        around.count += whole.count
        around.deep = max(around.deep, whole.deep + 1)
        if isinstance(around.value, list):
            around.value.append(whole.value)
        elif around.key is not None:
            around.value[around.key], around.key = whole.value, None

    def _check_tag(self, tag: str | None, line: int) -> None:
        if tag not in _PLAIN_TAGS:
            shown = str(tag).replace(_TAG, "!!")
            self._mistake(line, f"the tag {shown} is not read here", "remove it; text goes in quotes")

    def _core(self, text: str, line: int) -> Any:
        """Resolve a plain scalar by the core schema; numbers that YAML readers interpret differently, or too large, are mistakes."""
        if _NULL.fullmatch(text):
            return None
        if _BOOL.fullmatch(text):
            return text.lower() == "true"
        if _INT.fullmatch(text):
            return self._whole_number(text, line)
        if _FLOAT.fullmatch(text):
            number = float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
            if math.isfinite(number):
                return number
            self._mistake(
                line,
                f"{_shortened(text)} is no number that can be used",
                "write a finite number, or put the text in quotes",
            )
            return None
        return text

    def _whole_number(self, text: str, line: int) -> int | None:
        digits = text.lstrip("+-")
        if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
            what = f"{_shortened(text)} is octal to some readers of YAML and decimal to others"
            self._mistake(line, what, "put it in quotes if it is text, else leave out the leading zeros")
            return None
        if len(digits) > 30 or abs(number := int(text, 0)) > LARGEST:
            self._mistake(
                line, f"{_shortened(text)} is too large a number", "write a smaller one, or put the text in quotes"
            )
            return None
        return number


def _written(place: Place) -> str:
    return ".".join(map(str, place))


def _shortened(text: str) -> str:
    return text if len(text) <= 24 else f"{text[:20]}..."
