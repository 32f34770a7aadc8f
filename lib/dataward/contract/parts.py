"""Columns of any type as trees, and their parts: pure.

A part is what one entry of the contract decides about: a column, a field inside of structs, lists and maps, or a path in JSON. The
rest of a column, which no further entry names, is a part under the column's own name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dataward.contract.models import Contract
from dataward.contract.protections import Column, Json

__all__ = ["Layout", "Part", "Path", "Shape", "layout", "parts_of", "quoted", "shape_of"]

Path = tuple[str, ...]


@dataclass(frozen=True)
class Shape:
    """A type: its SQL, and what it is made of.

    Attributes:
        sql: the type in SQL.
        fields: names and types of a struct's fields.
        element: type of a list's elements.
        entry: types of a map's keys and values.
    """

    sql: str
    fields: tuple[tuple[str, Shape], ...] = ()
    element: Shape | None = None
    entry: tuple[Shape, Shape] | None = None

    @property
    def nested(self) -> bool:
        """Whether the type has parts."""
        return bool(self.fields or self.element or self.entry)

    def leaves(self, path: Path = ()) -> Iterator[Path]:
        """Yield the paths of the leaves; lists add nothing to a path, maps ``key`` and ``value``."""
        if self.element:
            yield from self.element.leaves(path)
        for name, inner in (*self.fields, *(zip(("key", "value"), self.entry, strict=True) if self.entry else ())):
            yield from inner.leaves((*path, name))
        if not self.nested:
            yield path


def shape_of(kind: Any) -> Shape:
    """Return the shape of a Spark type."""
    name = kind.typeName()
    if name == "array":
        element = shape_of(kind.elementType)
        return Shape(f"array<{element.sql}>", element=element)
    if name == "map":
        key, value = shape_of(kind.keyType), shape_of(kind.valueType)
        return Shape(f"map<{key.sql},{value.sql}>", entry=(key, value))
    if name == "struct" and kind.fields:
        fields = tuple((one.name, shape_of(one.dataType)) for one in kind.fields)
        return Shape(f"struct<{','.join(f'{quoted(name)}:{one.sql}' for name, one in fields)}>", fields)
    return Shape(kind.simpleString())


@dataclass(frozen=True)
class Part:
    """A part of a column. ``path``: where the values are in the column; ``inside``: from there, a path in JSON."""

    name: str
    column: str
    line: Column
    path: Path = ()
    inside: Path = ()


@dataclass(frozen=True)
class Layout:
    """The parts of a column: of each leaf, and of each path in the JSON of a leaf.

    Attributes:
        leaves: the part of each leaf; of JSON the part of its rest.
        json: the parts of each leaf that holds JSON, by their paths in it.
    """

    column: str
    shape: Shape
    leaves: Mapping[Path, Part]
    json: Mapping[Path, Mapping[str, Part]] = field(default_factory=dict)

    @property
    def parts(self) -> tuple[Part, ...]:
        """Every part once, in the order of the leaves."""
        every = [part for path, one in self.leaves.items() for part in (one, *self.json.get(path, {}).values())]
        return tuple({part.name: part for part in every}.values())

    def at(self, path: Path) -> tuple[Part, ...]:
        """Return the parts of one leaf."""
        return (self.leaves[path], *self.json.get(path, {}).values())

    @property
    def whole(self) -> bool:
        """Whether one entry decides about the whole column."""
        return len(self.parts) == 1


def layout(contract: Contract, name: str, shape: Shape) -> Layout:
    """Return the parts of a column of the target."""
    known = {path.lower() for path in contract.columns}
    own = contract.shadowed(name) or name
    leaves: dict[Path, Part] = {}
    json: dict[Path, dict[str, Part]] = {}
    for path in shape.leaves():
        line = contract.line(name, path)
        length = next((n for n in range(len(path), -1, -1) if ".".join((own, *path[:n])).lower() in known), None)
        if length is None:  # no entry: a policy may decide by the name of the leaf
            length = len(path) if path and contract.decided(name, path) is not contract.decided(name) else 0
        part = Part(".".join((name, *path[:length])), name, line, path[:length])
        leaves[path] = part
        if isinstance(line.protect, Json):
            leaves[path], json[path] = _in_json(part, line, line.protect)
    return Layout(name, shape, leaves, json)


def _in_json(part: Part, line: Column, given: Json) -> tuple[Part, dict[str, Part]]:
    """Return the part of a document's rest, and those of its paths."""
    rest = Part(part.name, part.column, line.model_copy(update={"protect": given.rest}), part.path)
    named = {
        path: Part(
            f"{part.name}.{path}",
            part.column,
            one if one.class_ else one.model_copy(update={"class_": line.class_}),
            part.path,
            tuple(path.split(".")),
        )
        for path, one in given.fields.items()
    }
    return rest, named


def parts_of(contract: Contract) -> Iterable[Part]:
    """Return the parts that a contract names, without its table's types: what a dotted name is in is not known."""
    for name, line in contract.columns.items():
        part = Part(name, name, line)
        if isinstance(line.protect, Json):
            rest, named = _in_json(part, line, line.protect)
            yield from (rest, *named.values())
        else:
            yield part


def quoted(name: str) -> str:
    """Quote a name for SQL."""
    return "`" + name.replace("`", "``") + "`"
