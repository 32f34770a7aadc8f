"""Show originals, and JSON with hidden parts, in a frame, on the workers; keys travel in the function, which no plan shows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dataward.contract import Column, Contract
from dataward.contract.operation import Operation
from dataward.contract.parts import Layout, Part, Path, Shape
from dataward.errors import KeyringError, RunError, UsageError
from dataward.keys import Keyring, Purpose
from dataward.privacy.protect import tree
from dataward.privacy.protect.compiled import OPERATORS
from dataward.privacy.protect.entries import KEY, Table, opened
from dataward.privacy.protect.shred import key_names, out_of_keys, shredded
from dataward.privacy.reidentify import originals
from dataward.spark.sql import column
from dataward.spark.workers import mapped
from dataward.tables.reason import from_worker, reason

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Display", "displayed", "openable"]

MOST = 1_000_000
"""Entries of a vault, or keys of subjects, that one reading opens."""


@dataclass(frozen=True)
class Display:
    """Columns, how each part of them is shown (``opened``, ``masked``, ``absent``, or as it is), and the text of masked values."""

    columns: tuple[Layout, ...]
    ways: Mapping[str, str]
    mask: str

    def needed(self, column: Layout) -> bool:
        """Return whether a column must be opened, or its JSON rewritten."""
        opened = any(self.ways[part.name] == "opened" for part in column.parts)
        return opened or any(self.hides(column, path) for path in column.json)

    def hides(self, column: Layout, path: Path) -> bool:
        """Return whether JSON has visible and hidden parts."""
        ways = {self.ways[part.name] for part in column.at(path)}
        return bool(ways & {"masked", "absent"}) and ways != {"absent"}


def openable(column: Layout, part: Part) -> bool:
    """Whether values can be opened where they are: their operator can be reversed, and they are no keys of a map, which must stay."""
    keys = any(_of_key(column.shape, path) for path, one in column.leaves.items() if one.name == part.name)
    return any(one.reversible for one in part.line.protect.parts()) and not keys


def _of_key(shape: Shape, path: Path) -> bool:
    """Return whether a path leads to, or into, the keys of a map."""
    if shape.element:
        return _of_key(shape.element, path)
    if not path:
        return False
    if shape.entry:
        return path[0] == "key" or _of_key(shape.entry[1], path[1:])
    return _of_key(dict(shape.fields)[path[0]], path[1:])


@dataclass(frozen=True)
class _Shipped:
    """Keys by purpose, domain and version, as workers need them."""

    keys: dict[tuple[str, str, int], bytes] = field(repr=False)

    def key(self, purpose: Purpose, domain: str, version: int) -> bytes:
        if (purpose, domain, version) not in self.keys:
            raise KeyringError(f"version {version} of domain '{domain}' is disabled, or there is none")
        return self.keys[purpose, domain, version]

    def current(self, domain: str) -> int:
        raise NotImplementedError("workers only open values")


@dataclass(frozen=True)
class _Opener:
    """Opens the values of one column. ``entries``: originals of a vault by token, or keys of subjects by name."""

    contract: Contract
    line: Column
    keys: _Shipped
    live: frozenset[int]
    entries: dict[str, bytes] | None = field(repr=False)

    def __call__(self, values: pa.Array) -> list[str | None]:
        if self.entries is None:
            found = originals(None, self.contract, self.line, self.keys, values, set(self.live))  # type: ignore[arg-type]
        elif self.line.protect.op == "vault":
            found = [self.entries.get(token) for token in values.to_pylist()]
        else:
            found = out_of_keys(shredded(values.to_pylist()), self.entries)
        return [None if text is None else text.decode(errors="replace") for text in found]


@dataclass(frozen=True)
class _Mark:
    """A result that is no JSON value."""

    name: str


_GONE, _NULL, _BROKEN = _Mark("gone"), _Mark("null"), _Mark("broken")


@dataclass(frozen=True)
class _Document:
    """Shows JSON: opens, masks or leaves out values by the part with the longest matching path."""

    display: Display
    rest: Part
    fields: Mapping[str, Part]
    openers: Mapping[str, _Opener]

    def __call__(self, values: pa.Array) -> list[str | None]:
        documents = [_parsed(text) for text in values.to_pylist()]
        found: dict[str, set[str]] = {name: set() for name in self.openers}
        for document in documents:
            for path, value in _values(document):
                if isinstance(value, str) and (part := self.part(path)).name in found:
                    found[part.name].add(value)
        opened = {name: self.opened(name, sorted(texts)) for name, texts in found.items()}
        return [None if one is _NULL else self.text(one, opened) for one in documents]

    def opened(self, name: str, texts: list[str]) -> dict[str, str | None]:
        import pyarrow as pa

        return dict(zip(texts, self.openers[name](pa.array(texts, pa.string())), strict=True))

    def part(self, path: str) -> Part:
        """Return the part that a path belongs to."""
        leading = [name for name in self.fields if path == name or path.startswith(f"{name}.")]
        return self.fields[max(leading, key=len)] if leading else self.rest

    def text(self, document: Any, opened: Mapping[str, Mapping[str, str | None]]) -> str | None:
        if document is _BROKEN:  # what a fallback made of text that is no JSON: nothing in it has a path
            return self.display.mask
        made = self.shown(document, "", opened)
        return None if made is _GONE else json.dumps(made, ensure_ascii=False, separators=(",", ":"))

    def shown(self, value: Any, path: str, opened: Mapping[str, Mapping[str, str | None]]) -> Any:
        if isinstance(value, dict):
            made = {key: self.shown(one, f"{path}.{key}" if path else key, opened) for key, one in value.items()}
            left: Any = {key: one for key, one in made.items() if one is not _GONE}
            return _GONE if value and not left else left
        if isinstance(value, list):
            left = [made for one in value if (made := self.shown(one, path, opened)) is not _GONE]
            return _GONE if value and not left else left
        name = self.part(path).name
        way = self.display.ways[name]
        if way == "masked":
            return self.display.mask if isinstance(value, str) else None
        if way == "opened" and name in opened:
            return opened[name].get(value) if isinstance(value, str) else None
        return _GONE if way == "absent" else value


def _parsed(text: str | None) -> Any:
    if text is None:
        return _NULL
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _BROKEN


def _values(document: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of a document with their paths."""
    if isinstance(document, dict):
        for key, one in document.items():
            yield from _values(one, f"{path}.{key}" if path else key)
    elif isinstance(document, list):
        for one in document:
            yield from _values(one, path)
    else:
        yield path, document


Change = Callable[["pa.Array"], "list[str | None]"]


def displayed(
    spark: SparkSession,
    contract: Contract,
    keys: Keyring | None,
    frame: DataFrame,
    live: dict[str, set[int]],
    display: Display,
) -> DataFrame:
    """Replace stored values by their originals, as text (null where a value has none any more), and rewrite JSON with hidden parts.

    Args:
        spark: the session.
        contract: the contract.
        keys: its keyring; None where nothing is opened.
        frame: the stored rows; absent columns and fields are left out already, and masked ones outside of JSON replaced.
        live: possible key versions of values that do not name theirs, by the place of the values.
        display: the columns, and how their parts are shown.

    Raises:
        KeyringError: a key is gone.
        UsageError: more entries of a vault would be opened than a reading may hold.
    """
    from pyspark.sql.types import StructField, StructType

    changes: dict[str, dict[Path, Change]] = {}
    for one in display.columns:
        if one.column in frame.columns and display.needed(one):
            changes[one.column] = dict(_changes(_Opening(spark, contract, keys, frame, live), one, display))
    if not changes:
        return frame
    fields = [StructField(one.name, _type(one.dataType, changes.get(one.name, {}))) for one in frame.schema.fields]
    return mapped(frame, _changing(changes), StructType(fields))


def _changing(changes: dict[str, dict[Path, Change]]) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            columns = [
                _changed(values, changes[name]) if name in changes else values
                for name, values in zip(batch.schema.names, batch.columns, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(columns, names=batch.schema.names)

    return run


def _changed(values: pa.Array, changes: Mapping[Path, Change], path: Path = ()) -> pa.Array:
    """Return an array with changed leaves; lengths and nulls of lists, maps and structs stay."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if not any(one[: len(path)] == path for one in changes):
        return values
    if pa.types.is_struct(kind):
        names = [kind.field(number).name for number in range(kind.num_fields)]
        made = [_changed(one, changes, (*path, name)) for name, one in zip(names, values.flatten(), strict=True)]
        return pa.StructArray.from_arrays(made, names, mask=values.is_null())
    if tree.is_list(kind):
        _, offsets = tree.offsets_of(pc.list_value_length(values))
        return pa.ListArray.from_arrays(offsets, _changed(values.flatten(), changes, path))
    if pa.types.is_map(kind):
        entries = values.cast(tree.as_list(kind))
        _, offsets = tree.offsets_of(pc.list_value_length(entries))
        held, items = entries.flatten().flatten()
        return pa.MapArray.from_arrays(offsets, held, _changed(items, changes, (*path, "value")))
    return pa.array(changes[path](values), pa.string())


def _type(kind: Any, changes: Mapping[Path, Change], path: Path = ()) -> Any:
    """Return the Spark type of changed values: strings at the changed leaves."""
    from pyspark.sql.types import ArrayType, MapType, StringType, StructField, StructType

    if isinstance(kind, ArrayType):
        return ArrayType(_type(kind.elementType, changes, path))
    if isinstance(kind, MapType):
        return MapType(kind.keyType, _type(kind.valueType, changes, (*path, "value")))
    if isinstance(kind, StructType):
        return StructType(
            [StructField(one.name, _type(one.dataType, changes, (*path, one.name))) for one in kind.fields]
        )
    return StringType() if path in changes else kind


@dataclass(frozen=True)
class _Opening:
    """Makes openers for a frame."""

    spark: SparkSession
    contract: Contract
    keys: Keyring | None
    frame: DataFrame
    live: dict[str, set[int]]

    def opener(self, part: Part, where: str) -> _Opener:
        line, domain = part.line, self.contract.domain(part.line)
        assert self.keys is not None  # noqa: S101 - something is opened
        shipped = _Shipped(dict(_keys_of(self.keys, line.protect, domain)))
        entries = None
        if line.protect.entered:  # never inside of a column
            entries = _entries(self.spark, line.protect, domain, shipped, self.frame, part.column)
        return _Opener(self.contract, line, shipped, frozenset(self.live.get(where, ())), entries)


def _changes(opening: _Opening, column: Layout, display: Display) -> Iterator[tuple[Path, Change]]:
    """Yield the changes of a column's leaves."""
    for path, part in column.leaves.items():
        where = ".".join((column.column, *path))
        if path in column.json:
            parts = {"rest": part, **column.json[path]}
            openers = {
                one.name: opening.opener(one, f"{where}: {name}")
                for name, one in parts.items()
                if display.ways[one.name] == "opened"
            }
            if openers or display.hides(column, path):
                yield path, _Document(display, part, column.json[path], openers)
        elif display.ways[part.name] == "opened":
            yield path, opening.opener(part, where)


def _keys_of(keys: Keyring, protect: Operation, domain: str) -> Iterator[tuple[tuple[str, str, int], bytes]]:
    """Yield the keys of every enabled version for the operator and its fallbacks."""
    for purpose in {OPERATORS[part.op].purpose for part in protect.parts() if part.reversible} - {None}:
        assert purpose is not None  # noqa: S101 - taken out above
        for number, version in keys.versions(domain).items():
            if version.enabled:
                yield (purpose, domain, number), keys.key(purpose, domain, number)


def _entries(
    spark: SparkSession, protect: Any, domain: str, keys: _Shipped, frame: DataFrame, name: str
) -> dict[str, bytes]:
    """Read the entries that a frame's values need."""
    purpose: Purpose = protect.op
    table = Table(spark, protect.path, purpose, KEY if purpose == "shred" else 0)
    try:
        values = [
            row[0]
            for row in frame.select(column(name)).where(column(name).isNotNull()).distinct().limit(MOST + 1).collect()
        ]
    except Exception as error:
        raise RunError(from_worker(error) or f"column '{name}' cannot be read: {reason(error)}") from None
    if len(values) > MOST:
        raise UsageError(f"column '{name}' has more than {MOST:,} values to open: choose fewer rows, or use reidentify")
    tokens = key_names(values) if purpose == "shred" else set(values)
    rows = table.of_tokens(tokens)
    made = {row.token: opened(keys.key(purpose, domain, row.key_version), bytes(row.sealed), row.token) for row in rows}
    return {token: text[:KEY] for token, text in made.items()} if purpose == "shred" else made
