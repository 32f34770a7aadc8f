"""Displays of the parts of columns as SQL: pure."""

from __future__ import annotations

from collections.abc import Callable

from dataward.contract.parts import Path, Shape, quoted

__all__ = ["MASK", "Leaf", "masked", "rebuilt"]

MASK = "[masked]"


def masked(value: str, shape: Shape) -> str:
    """Return the SQL of a masked value: a fixed text, null for other types; null stays null."""
    if shape.sql == "string":
        return f"CASE WHEN {value} IS NOT NULL THEN '{MASK}' END"
    return f"CAST(NULL AS {shape.sql})"


Leaf = Callable[[Path, str, Shape], str | None]
"""SQL of a leaf at a path from that of its value; None where it is absent."""


Seen = Callable[[Path, bool], str]
"""SQL of who sees something at or below a path, masked or not; or (second argument) all of it as it is."""


def rebuilt(
    value: str, shape: Shape, leaf: Leaf, path: Path = (), depth: int = 0, seen: Seen | None = None
) -> str | None:
    """Return the SQL of a value with other leaves; None where nothing of it is left.

    A struct loses its absent fields. A map whose keys are absent or masked is so as a whole, and a list is absent with its elements.

    Args:
        value: SQL of the value.
        shape: its type.
        leaf: SQL of each leaf.
        path: path of the value in its column.
        depth: number of lists and maps around it, which keeps the variables apart.
        seen: SQL of who sees what is at or below a path, for displays that depend on the reader: a list or map of which a reader sees
            nothing is null then, which hides its length.
    """
    if shape.fields:
        made = {
            name: rebuilt(f"{value}.{quoted(name)}", one, leaf, (*path, name), depth, seen)
            for name, one in shape.fields
        }
        left = {name: sql for name, sql in made.items() if sql is not None}
        if not left or all(made[name] == f"{value}.{quoted(name)}" for name, _ in shape.fields):
            return value if left else None
        pairs = ", ".join(f"{_text(name)}, {sql}" for name, sql in left.items())
        return f"CASE WHEN {value} IS NOT NULL THEN named_struct({pairs}) END"
    if shape.element:
        name = f"e{depth}"
        element = rebuilt(name, shape.element, leaf, path, depth + 1, seen)
        if element is None or element == name:
            return value if element else None
        return _shown(f"transform({value}, {name} -> {element})", path, seen)
    if shape.entry:
        key, name = f"k{depth}", f"v{depth}"
        keys = rebuilt(key, shape.entry[0], leaf, (*path, "key"), depth + 1, seen)
        values = rebuilt(name, shape.entry[1], leaf, (*path, "value"), depth + 1, seen)
        if keys is None or values is None:
            return None
        entries = value if values == name else f"transform_values({value}, ({key}, {name}) -> {values})"
        if keys != key:
            if seen is None:
                return f"CAST(NULL AS {shape.sql})"
            both = f"({seen((*path, 'key'), True)}) AND ({seen((*path, 'value'), False)})"
            return f"CASE WHEN {both} THEN {entries} END"
        return entries if entries == value else _shown(entries, (*path, "value"), seen)
    return leaf(path, value, shape)


def _shown(sql: str, path: Path, seen: Seen | None) -> str:
    return f"CASE WHEN {seen(path, False)} THEN {sql} END" if seen else sql


def _text(name: str) -> str:
    return "'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'"
