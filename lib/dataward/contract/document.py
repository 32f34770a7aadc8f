"""A YAML file with the line of every value, so that an error can point at it.

YAML 1.2's core schema is used: ``on``, ``yes`` and ``no`` are plain words and dates stay text (YAML 1.1, PyYAML's
default, would read the key ``on`` of a merge as ``true``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from dataward.errors import ContractError, Problem

__all__ = ["Document"]

Place = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML copies it on the first write


for tag, pattern, first in (
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), list(first))
# An empty scalar has no first character: PyYAML looks it up under ''.
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("^$"), [""])


@dataclass(frozen=True)
class Document:
    """The data of a YAML file, the lines (from 1) of its keys, and mistakes found while reading it."""

    file: str
    data: Any
    lines: dict[Place, int]
    problems: tuple[Problem, ...] = ()
    scalar_starts: dict[Place, int] = field(default_factory=dict)

    def line_of(self, place: Place) -> int:
        """Line of a value, or of the nearest thing around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def text_start(self, place: Place) -> int:
        """Line on which the first line of a text stands; for a block scalar that is the line below its ``|``."""
        return self.scalar_starts.get(place, self.line_of(place))

    @classmethod
    def read(cls, path: str | Path) -> Document:
        """Read a file.

        Raises:
            ContractError: the file is missing, is not UTF-8, or is not YAML.
        """
        file = str(path)

        def refuse(line: int, what: str, remedy: str) -> ContractError:
            return ContractError([Problem(file, line, "", what, remedy)])

        try:
            text = Path(path).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise refuse(1, "there is no such contract file", "check the path given to --contract") from None
        except IsADirectoryError:
            raise refuse(1, "this is a directory", "name the contract's YAML file") from None
        except PermissionError:
            raise refuse(1, "the file cannot be read", "give this user the right to read it") from None
        except UnicodeDecodeError as error:
            raise refuse(1, f"the file is not UTF-8 (byte {error.start})", "save it as UTF-8") from None
        return cls.parse(text, file)

    @classmethod
    def parse(cls, text: str, file: str = "contract.yaml") -> Document:
        loader = None
        try:
            loader = _Loader(text)
            node = loader.get_single_node()
            lines: dict[Place, int] = {}
            starts: dict[Place, int] = {}
            problems: list[Problem] = []
            if node is not None:
                _walk(node, (), lines, starts, problems, file)
            data = loader.construct_document(node) if node is not None else None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            what = str(getattr(error, "problem", None) or getattr(error, "reason", "unreadable"))
            where = mark.line + 1 if mark else 1
            remedy = "indent with spaces, not tabs" if "\\t" in what else "check indentation, colons and quotes here"
            raise ContractError([Problem(file, where, "", f"not YAML: {what}", remedy)]) from None
        finally:
            if loader is not None:
                loader.dispose()
        return cls(file, data, lines, tuple(problems), starts)


def _walk(
    node: yaml.Node, place: Place, lines: dict[Place, int], starts: dict[Place, int], problems: list[Problem], file: str
) -> None:
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            name = str(key.value)
            if name in seen:
                what = f"'{name}' stands here twice (first on line {seen[name]})"
                problems.append(Problem(file, line, ".".join(map(str, place)), what, "remove one of the two"))
            seen[name] = line
            here = (*place, name)
            lines[here] = line
            _walk(value, here, lines, starts, problems, file)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*place, index), lines, starts, problems, file)
    elif isinstance(node, yaml.ScalarNode):
        block = node.style in ("|", ">")
        starts[place] = node.start_mark.line + (2 if block else 1)
