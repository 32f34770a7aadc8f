"""Extract the texts of a batch by path: within lists, maps and structs, and within JSON in strings."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from dataward.privacy.protect import tree
from dataward.privacy.protect.texts import texts

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["JSON", "by_path", "outside"]

JSON = ": "
"""Separator of the path of a column and the path within its JSON."""

KEYS = 50
"""Number of distinct keys of an object beyond which they count as data: they are scanned as texts and form no paths."""

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,60}")


def by_path(batch: pa.RecordBatch) -> Iterator[tuple[str, pa.Array]]:
    """Yield every leaf of every column as strings, without booleans and binary values."""
    for field, values in zip(batch.schema, batch.columns, strict=True):
        yield from _below(field.name, values)


def outside(path: str, known: Iterable[str]) -> tuple[str, str]:
    """Split a path into the longest known path that it begins with, and the path within the JSON there ("": none)."""
    longest = max(
        (prefix for prefix in known if path == prefix or path.startswith(prefix + JSON)), key=len, default=path
    )
    return longest, path[len(longest) + len(JSON) :]


def _below(path: str, values: pa.Array) -> Iterator[tuple[str, pa.Array]]:
    import pyarrow as pa

    kind = values.type
    if tree.is_list(kind):
        yield from _below(path, values.flatten())
    elif pa.types.is_map(kind):
        yield from _below(f"{path}.key", values.keys)
        yield from _below(f"{path}.value", values.items)
    elif pa.types.is_struct(kind):
        for number, inner in enumerate(values.flatten()):
            yield from _below(f"{path}.{kind.field(number).name}", inner)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        yield from _text(path, values)
    elif not (pa.types.is_boolean(kind) or pa.types.is_null(kind) or _is_binary(kind)):
        yield path, texts(values)


def _is_binary(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def _text(path: str, values: pa.Array) -> Iterator[tuple[str, pa.Array]]:
    """Yield the strings, or the leaves of their JSON where most are JSON objects or arrays."""
    import pyarrow as pa
    import pyarrow.compute as pc

    candidates = pc.sum(pc.match_substring_regex(values.cast(pa.binary()), rb"^\s*[\[{]")).as_py() or 0
    if 2 * candidates <= len(values) - values.null_count or not candidates:
        yield path, values
        return
    documents, rest = [], []
    for text in values.to_pylist():
        try:
            document = json.loads(text) if text else None
        except (ValueError, RecursionError):
            document = None
        (documents.append(document) if isinstance(document, dict | list) else rest.append(text))
    if 2 * len(documents) <= candidates:
        yield path, values
        return
    yield path, pa.array([text for text in rest if text is not None], pa.string())
    leaves_by_path: dict[str, list[str]] = {}
    _walk(documents, "", leaves_by_path)
    for inner, leaves in leaves_by_path.items():
        yield f"{path}{JSON}{inner}", pa.array(leaves, pa.string())


def _walk(values: list[Any], path: str, leaves_by_path: dict[str, list[str]]) -> None:
    """Collect the leaves of many documents by path; elements of arrays have the path of the array."""
    objects: dict[str, list[Any]] = {}
    for value in values:
        if isinstance(value, list):
            _walk(value, path, leaves_by_path)
        elif isinstance(value, dict):
            for key, inner in value.items():
                objects.setdefault(key, []).append(inner)
        elif isinstance(value, str):
            leaves_by_path.setdefault(path, []).append(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            leaves_by_path.setdefault(path, []).append(str(value))
    data = len(objects) > KEYS
    for key, inner in objects.items():
        named = _KEY.fullmatch(key) and not data
        if not named:
            leaves_by_path.setdefault(f"{path}.key" if path else "key", []).append(key)
        step = key if named else "value"
        _walk(inner, f"{path}.{step}" if path else step, leaves_by_path)
