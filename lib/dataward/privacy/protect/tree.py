"""Protect nested columns: a tree of lists, maps and structs, whose types stay, with an operator at each leaf."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.privacy.protect.drop import DropOperator
from dataward.privacy.protect.keep import KeepOperator
from dataward.privacy.protect.leaf import Leaf
from dataward.privacy.protect.operator import Rows, Unfit

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "Elements",
    "Entries",
    "Fields",
    "Node",
    "apply",
    "as_list",
    "build",
    "is_list",
    "kept",
    "leaves",
    "left",
    "offsets_of",
    "output",
    "paths",
]


@dataclass(frozen=True)
class Elements:
    """A list, with the node of its elements."""

    of: Node


@dataclass(frozen=True)
class Entries:
    """A map, with the nodes of its keys (path ``.key``) and values (path ``.value``)."""

    key: Node
    value: Node


@dataclass(frozen=True)
class Fields:
    """A struct, with the nodes of its fields."""

    of: tuple[tuple[str, Node], ...]


Node = Leaf | Elements | Entries | Fields

LeafAt = Callable[[tuple[str, ...]], Leaf]


def build(kind: pa.DataType, leaf: LeafAt, path: tuple[str, ...] = ()) -> Node:
    """Build the tree of a type.

    Args:
        kind: the Arrow type.
        leaf: function from a path inside the column to its leaf; lists add nothing to a path.
        path: path of the type inside the column.

    Raises:
        Unfit: an operator does not support a type, or elements of lists or maps would be dropped.
    """
    import pyarrow as pa

    if is_list(kind):
        node: Node = Elements(build(kind.value_type, leaf, path))
    elif pa.types.is_map(kind):
        node = Entries(build(kind.key_type, leaf, (*path, "key")), build(kind.item_type, leaf, (*path, "value")))
    elif pa.types.is_struct(kind):
        fields = [kind.field(n) for n in range(kind.num_fields)]
        return Fields(tuple((field.name, build(field.type, leaf, (*path, field.name))) for field in fields))
    else:
        node = leaf(path)
        if left(node):
            node.output(kind)
        return node
    if not all(left(child) for child in _children(node)):
        raise Unfit("elements of arrays and maps cannot be dropped", "use null or redact, or drop the whole column")
    return node


def paths(field: pa.Field) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield every leaf of a column: its dotted path, and the parts of the path inside the column."""

    def below(kind: pa.DataType, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        import pyarrow as pa

        if is_list(kind):
            yield from below(kind.value_type, path)
        elif pa.types.is_map(kind):
            yield from below(kind.key_type, (*path, "key"))
            yield from below(kind.item_type, (*path, "value"))
        elif pa.types.is_struct(kind):
            for n in range(kind.num_fields):
                yield from below(kind.field(n).type, (*path, kind.field(n).name))
        else:
            yield path

    for path in below(field.type, ()):
        yield ".".join((field.name, *path)), path


def is_list(kind: pa.DataType) -> bool:
    """Return whether a type is a list of any kind."""
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _children(node: Node) -> tuple[Node, ...]:
    if isinstance(node, Elements):
        return (node.of,)
    if isinstance(node, Entries):
        return (node.key, node.value)
    return tuple(child for _, child in node.of) if isinstance(node, Fields) else ()


def left(node: Node) -> bool:
    """Return whether the output keeps a node: it is not dropped, nor are all of its fields."""
    if isinstance(node, Leaf):
        return not isinstance(node.operator, DropOperator)
    return not isinstance(node, Fields) or any(left(child) for child in _children(node))


def leaves(node: Node) -> Iterator[Leaf]:
    """Yield the leaves of a node."""
    if isinstance(node, Leaf):
        yield node
    for child in _children(node):
        yield from leaves(child)


def kept(node: Node) -> bool:
    """Return whether all leaves of a node keep their values."""
    return all(isinstance(leaf.operator, KeepOperator) for leaf in leaves(node))


def output(node: Node, kind: pa.DataType) -> pa.DataType | None:
    """Return the output type of a node; None where it is dropped."""
    import pyarrow as pa

    if not left(node):
        return None
    if isinstance(node, Leaf):
        return node.output(kind)
    if isinstance(node, Elements):
        return pa.list_(output(node.of, kind.value_type))
    if isinstance(node, Entries):
        return pa.map_(output(node.key, kind.key_type), output(node.value, kind.item_type))
    fields = [(name, output(child, kind.field(n).type)) for n, (name, child) in enumerate(node.of)]
    return pa.struct([(name, type_) for name, type_ in fields if type_ is not None])


def apply(node: Node, values: pa.Array, rows: Rows) -> pa.Array:
    """Protect the values of a node; lengths and nulls of lists, maps and structs stay."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if kept(node):
        return values
    if isinstance(node, Leaf):
        return node.apply(values, rows)
    if isinstance(node, Fields):
        fields = zip(node.of, values.flatten(), strict=True)  # in a null struct, flatten makes the fields null
        protected = {name: apply(child, array, rows) for (name, child), array in fields if left(child)}
        return pa.StructArray.from_arrays(list(protected.values()), list(protected), mask=values.is_null())
    if isinstance(node, Elements):
        counts, offsets = offsets_of(pc.list_value_length(values))
        return pa.ListArray.from_arrays(offsets, apply(node.of, values.flatten(), rows.repeated(counts)))
    counts, offsets = offsets_of(pc.list_value_length(values.cast(as_list(values.type))))
    entries = values.cast(as_list(values.type)).flatten()
    entry_rows = rows.repeated(counts)
    keys, items = (
        apply(child, array, entry_rows) for child, array in zip((node.key, node.value), entries.flatten(), strict=True)
    )
    return pa.MapArray.from_arrays(offsets, keys, items)


def as_list(kind: pa.DataType) -> pa.DataType:
    """Return the type of a map as list of structs."""
    import pyarrow as pa

    return pa.list_(pa.struct([pa.field("key", kind.key_type, nullable=False), pa.field("value", kind.item_type)]))


def offsets_of(lengths: pa.Array) -> tuple[Any, pa.Array]:
    """Return the number of elements of each list, and offsets that are null where the list is null."""
    import numpy as np
    import pyarrow as pa

    counts = np.asarray(lengths.fill_null(0)).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return counts, pa.array(offsets, mask=np.append(np.asarray(lengths.is_null()), False))
