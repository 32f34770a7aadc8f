"""A column, or what lies at a path inside of it: in structs, lists and maps by their types, in JSON by its keys."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.contract import Column, Contract
from dataward.contract.protections import Json
from dataward.privacy.protect import tree

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Inside", "Values", "leaves", "located"]


@dataclass(frozen=True)
class Values:
    """The values at a path, and the row of each. ``many``: a row may hold any number of them."""

    values: pa.Array
    rows: list[int]
    many: bool

    def by_row(self, made: Sequence[Any], count: int) -> list[Any]:
        """Return one result per row: the result of its value, or the list of those of its elements."""
        if not self.many:
            return list(made)
        found: list[list[Any]] = [[] for _ in range(count)]
        for row, one in zip(self.rows, made, strict=True):
            found[row].append(one)
        return found


@dataclass(frozen=True)
class Inside:
    """A requested ``name``: its column, its path inside the column, and the contract's ``line`` that applies to it."""

    name: str
    column: str
    path: tuple[str, ...]
    line: Column
    in_json: bool = False

    @property
    def where(self) -> str:
        """The place as protections and the log name it."""
        return f"{self.column}: {'.'.join(self.path)}" if self.in_json else ".".join((self.column, *self.path))

    def of(self, column: pa.Array) -> Values:
        """Return the values of a whole column."""
        import pyarrow as pa

        if not self.in_json:
            return _at(column, self.path, list(range(len(column))), False)
        found = [(row, value) for row, text in enumerate(column.to_pylist()) for value in _in_json(text, self.path)]
        return Values(pa.array([value for _, value in found], pa.string()), [row for row, _ in found], True)


def located(contract: Contract, schema: pa.Schema, name: str) -> Inside | None:
    """Resolve a name in a table: a column of exactly this name, else a path that begins with the longest matching column."""
    there = {field.name.lower(): field for field in schema}
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        field = there.get(".".join(parts[:length]).lower())
        if field is None:
            continue
        rest = tuple(parts[length:])
        line = contract.line(field.name)
        if rest and isinstance(line.protect, Json):
            return Inside(name, field.name, rest, _json_line(line, line.protect, rest), in_json=True)
        path = _spelled(field.type, rest)
        return None if path is None else Inside(name, field.name, path, contract.line(field.name, path))
    return None


def leaves(name: str, column: Any) -> Iterable[tuple[str, Any]]:
    """Yield the leaves of a column by dotted path: inside of structs, lists (which add nothing to a path) and maps."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        yield from leaves(name, column.dictionary)
    elif pa.types.is_struct(kind):
        for number, inner in enumerate(column.flatten()):
            yield from leaves(f"{name}.{kind.field(number).name}", inner)
    elif pa.types.is_map(kind):
        yield from leaves(f"{name}.key", column.keys)
        yield from leaves(f"{name}.value", column.items)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from leaves(name, column.flatten())
    else:
        yield name, column


def _json_line(line: Column, given: Json, path: tuple[str, ...]) -> Column:
    for length in range(len(path), 0, -1):
        if found := given.fields.get(".".join(path[:length])):
            return found if found.class_ else found.model_copy(update={"class_": line.class_})
    return line.model_copy(update={"protect": given.rest})


def _spelled(kind: pa.DataType, path: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return a path as the type spells it; None where there is no such path."""
    import pyarrow as pa

    if tree.is_list(kind):
        return _spelled(kind.value_type, path)
    if not path:
        return ()
    if pa.types.is_map(kind):
        inside = {"key": kind.key_type, "value": kind.item_type}
    elif pa.types.is_struct(kind):
        inside = {kind.field(n).name: kind.field(n).type for n in range(kind.num_fields)}
    else:
        return None
    for own, type_ in inside.items():
        if own.lower() == path[0].lower():
            rest = _spelled(type_, path[1:])
            return None if rest is None else (own, *rest)
    return None


def _at(values: pa.Array, path: tuple[str, ...], rows: list[int], many: bool) -> Values:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if tree.is_list(kind):
        counts = np.asarray(pc.list_value_length(values).fill_null(0)).astype(np.int64)
        return _at(values.flatten(), path, np.repeat(np.array(rows, np.int64), counts).tolist(), True)
    if pa.types.is_map(kind):
        pair = pa.list_(pa.struct([pa.field("key", kind.key_type, nullable=False), pa.field("value", kind.item_type)]))
        return _at(values.cast(pair), path, rows, many) if path else Values(values, rows, many)
    if pa.types.is_struct(kind) and path:
        names = [kind.field(n).name for n in range(kind.num_fields)]
        return _at(values.flatten()[names.index(path[0])], path[1:], rows, many)
    return Values(values, rows, many)


def _in_json(text: str | None, path: tuple[str, ...]) -> Iterator[str]:
    """Yield the strings of a document at a path; arrays are traversed."""
    if text is None:
        return
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return  # what a fallback made of text that is no JSON
    yield from _below(document, path)


def _below(document: Any, path: tuple[str, ...]) -> Iterator[str]:
    if isinstance(document, list):
        for one in document:
            yield from _below(one, path)
    elif path and isinstance(document, dict):
        for length in range(len(path), 0, -1):  # a key may hold dots
            if (key := ".".join(path[:length])) in document:
                yield from _below(document[key], path[length:])
                return
    elif not path and isinstance(document, str):
        yield document
