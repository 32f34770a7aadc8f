"""Values of a key version wherever they lie in a column: inside of lists, maps and structs, in JSON, and made by fallbacks.

A text names the version of its key where its operator writes it (``v1.…``, or ``<EMAIL:v1.…>`` inside of text). ``fpe`` cannot:
there the table's log tells. Reversible values are opened and protected again; tokens are replaced by a map.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dataward.contract import Contract
from dataward.contract.protections import Keep, Token
from dataward.privacy.protect import tree
from dataward.privacy.protect.compiled import KeyOf, keyed, leaf_of
from dataward.privacy.protect.entries import Entered
from dataward.privacy.protect.fpe import FpeOperator
from dataward.privacy.protect.json import JsonOperator
from dataward.privacy.protect.keep import KeepOperator
from dataward.privacy.protect.leaf import Leaf
from dataward.privacy.protect.operator import Made, Operator, Rows
from dataward.privacy.protect.redact_text import RedactTextOperator
from dataward.privacy.protect.spark import on_workers

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["COUNTS", "PAIRS", "TOKENS", "Between", "Columns", "Place", "paired", "pairing", "places", "telling"]

COUNTS = "place string, count bigint"
TOKENS = "token string"
PAIRS = "old string, new string"

LABEL = re.compile(r"<[A-Z][A-Z0-9_]*:(v([0-9]+)\.[0-9a-f]{32,64})>")
"""What ``redact_text`` writes into a text."""

Stage = Callable[[Iterable["pa.RecordBatch"]], Iterable["pa.RecordBatch"]]


@dataclass(frozen=True)
class Between:
    """The two versions of a domain's key, and the keys of new writes under each."""

    domain: str
    old: int
    new: int
    outgoing: KeyOf
    incoming: KeyOf


@dataclass(frozen=True)
class Place:
    """One place of a column with the operators that may have made its values, under both versions: its own, then fallbacks."""

    where: str
    ways: tuple[tuple[Operator, Operator], ...]
    own: bool

    @property
    def fpe(self) -> bool:
        """Whether what names no version here was made by fpe, and can be opened."""
        return self.own and isinstance(self.ways[0][0], FpeOperator)

    @property
    def stuck(self) -> list[str]:
        """Operators whose values name no version and cannot be opened."""
        return [way[0].parameters.op for way in self.ways[self.fpe :] if way[0].parameters.silent]


def places(contract: Contract, between: Between, column: pa.Field, without_own: bool) -> list[Place]:
    """Return the places of a protected column with values of the domain; ``without_own`` leaves out the column's own operator."""
    found: list[Place] = []

    def at(place: Place) -> Leaf:
        found.append(place)
        return Leaf(place.where, _KEEP)

    _tree(contract, between, column, without_own, at)
    return found


_KEEP = KeepOperator(Keep())


def _tree(
    contract: Contract, between: Between, column: pa.Field, without_own: bool, made: Callable[[Place], Leaf]
) -> tree.Node:
    """Return the tree of a protected column, with a leaf of this module at each place with values of the domain."""

    def at(path: tuple[str, ...]) -> Leaf:
        old, new = (leaf_of(contract, keys, column.name, path) for keys in (between.outgoing, between.incoming))
        return leaf(old, new, without_own and not path)

    def leaf(old: Leaf, new: Leaf, fallbacks_only: bool = False) -> Leaf:
        if isinstance(old.operator, JsonOperator) and isinstance(new.operator, JsonOperator):
            inner = [leaf(*both) for both in zip(old.operator.leaves, new.operator.leaves, strict=True)]
            named = dict(zip(old.operator.fields, inner, strict=False))
            operator = JsonOperator(old.operator.parameters, None, None, named, inner[-1])
            # Text that is no JSON is what the fallback made of it.
            other = leaf(old.fallback, new.fallback) if old.fallback and new.fallback else Leaf(old.where, _KEEP)
            kept = all(tree.kept(one) for one in (*inner, other))
            return Leaf(old.where, _KEEP) if kept else Leaf(old.where, operator, False, other)
        ways = []
        for (_, outgoing), (_, incoming) in zip(keyed(old), keyed(new), strict=True):
            ours = outgoing.key is not None and outgoing.key.domain == between.domain
            if ours and not isinstance(outgoing, Entered) and not (fallbacks_only and outgoing is old.operator):
                ways.append((outgoing, incoming))
        own = bool(ways) and ways[0][0] is old.operator
        return made(Place(old.where, tuple(ways), own)) if ways else Leaf(old.where, _KEEP)

    return tree.build(column.type, at)


@dataclass(frozen=True)
class _At(Operator):
    """What is done at a place; every type stays."""

    parameters: Any = field(default_factory=Keep)
    place: Place = field(kw_only=True)
    old: int = field(kw_only=True)

    def output(self, kind: pa.DataType) -> pa.DataType:
        return kind

    def version(self, text: str) -> int | None:
        """Return the key version that a text names."""
        for operator, _ in self.place.ways:
            form = operator.parameters.form
            if form is not None and (found := form.fullmatch(text)):
                return int(found.group(1))
        return None

    @property
    def in_text(self) -> bool:
        return any(isinstance(operator, RedactTextOperator) for operator, _ in self.place.ways)


@dataclass(frozen=True)
class _Count(_At):
    """Counts the values of the outgoing version."""

    found: Counter[str] = field(kw_only=True)

    @property
    def deterministic(self) -> bool:
        return False  # every value is to be seen

    def apply(self, values: pa.Array, rows: Rows) -> Made:
        for text in values.to_pylist():
            if isinstance(text, str) and (self.version(text) == self.old or (self.in_text and self._labelled(text))):
                self.found[self.place.where] += 1
        return values, None

    def _labelled(self, text: str) -> bool:
        return any(int(label.group(2)) == self.old for label in LABEL.finditer(text))


@dataclass(frozen=True)
class _Move(_At):
    """Brings values to the new version: tokens by a map, others by opening; what neither knows stays."""

    tokens: Mapping[str, str] = field(kw_only=True)
    silent: bool = field(kw_only=True)
    """Whether values that name no version are of the outgoing one."""

    def apply(self, values: pa.Array, rows: Rows) -> Made:
        import pyarrow as pa

        if pa.types.is_integer(values.type):
            return self._without_version(values, rows), None
        if not pa.types.is_string(values.type):
            return values, None
        made = [text if text is None else self._moved(text, rows) for text in values.to_pylist()]
        return self._without_version(pa.array(made, pa.string()), rows), None

    def _moved(self, text: str, rows: Rows) -> str:
        if self.version(text) == self.old:
            return self.tokens.get(text) or self._opened(text, rows) or text
        if self.in_text:
            return LABEL.sub(lambda label: label.group(0).replace(label.group(1), self.tokens.get(label.group(1), label.group(1))),
                             text)  # fmt: skip
        return text

    def _opened(self, text: str, rows: Rows) -> str | None:
        import pyarrow as pa

        for outgoing, incoming in self.place.ways:
            if outgoing.parameters.reversible and outgoing.parameters.shows_version:
                try:
                    whole = outgoing.reverse(pa.array([text]))  # type: ignore[attr-defined]
                except ValueError:
                    continue  # made by another operator of this place
                return str(incoming.apply(whole, rows)[0][0].as_py())
        return None

    def _without_version(self, values: pa.Array, rows: Rows) -> pa.Array:
        """Count values of fpe, which name no version."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        outgoing, incoming = self.place.ways[0]
        if not (self.silent and self.place.fpe and isinstance(outgoing, FpeOperator)):
            return values
        names = [isinstance(text, str) and self.version(text) is not None for text in values.to_pylist()]
        whole, bad = outgoing.reverse(values)
        made, _ = incoming.apply(whole, rows)
        stays = np.array(names, bool) | (False if bad is None else bad)
        return pc.if_else(pa.array(stays), values, made)


@dataclass(frozen=True)
class Columns:
    """The columns of a table that hold values of a domain; of those in ``without_own`` only what their fallbacks make."""

    contract: Contract
    between: Between
    fields: tuple[pa.Field, ...]
    without_own: frozenset[str] = frozenset()

    @property
    def places(self) -> list[Place]:
        """Places of values to rekey."""
        return [place for field in self.fields for place in self._places(field)]

    def _places(self, field: pa.Field) -> list[Place]:
        return places(self.contract, self.between, field, field.name in self.without_own)

    @property
    def names(self) -> list[str]:
        """Names of the columns with such places."""
        return [field.name for field in self.fields if self._places(field)]

    def _trees(self, made: Callable[[Place], Leaf]) -> dict[str, tree.Node]:
        named = [field for field in self.fields if self._places(field)]
        return {
            field.name: _tree(self.contract, self.between, field, field.name in self.without_own, made)
            for field in named
        }

    def counting(self) -> Stage:
        """Return a stage that counts by place the values that name the outgoing version."""
        found: Counter[str] = Counter()
        old = self.between.old
        nodes = self._trees(lambda place: Leaf(place.where, _Count(place=place, old=old, found=found)))
        return _counted(nodes, found)

    def moving(self, tokens: Mapping[str, str], silent: Iterable[str]) -> Stage:
        """Return a stage that converts columns to the new version; ``silent`` are places whose values name no version and are outgoing."""
        old, untold = self.between.old, frozenset(silent)
        nodes = self._trees(
            lambda place: Leaf(
                place.where, _Move(place=place, old=old, tokens=tokens, silent=place.where in untold), strict=False
            )
        )
        return on_workers(nodes)


def _counted(nodes: dict[str, tree.Node], found: Counter[str]) -> Stage:
    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            for name, node in nodes.items():
                tree.apply(node, batch.column(name), Rows(batch))
        yield pa.RecordBatch.from_arrays(
            [pa.array(list(found), pa.string()), pa.array(list(found.values()), pa.int64())], names=["place", "count"]
        )

    return run


def telling(old: int) -> Stage:
    """Return a stage that yields the tokens of a key version anywhere in the columns."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            found = {token for column in batch.columns for text in _texts(column) for token in _tokens(text, old)}
            yield pa.RecordBatch.from_arrays([pa.array(sorted(found), pa.string())], names=["token"])

    return run


def pairing(before: tree.Node, after: tree.Node, old: int, new: int) -> Stage:
    """Return a stage that yields pairs of tokens of the raw values in a frame's first column under two key versions."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            first, second = (tree.apply(node, batch.column(0), Rows(batch)) for node in (before, after))
            pairs = paired(first, second, old, new)
            columns = [pa.array([pair[side] for pair in pairs], pa.string()) for side in (0, 1)]
            yield pa.RecordBatch.from_arrays(columns, names=["old", "new"])

    return run


def paired(before: pa.Array, after: pa.Array, old: int, new: int) -> list[tuple[str, str]]:
    """Return pairs of tokens of two columns with the same values under two key versions."""
    both = zip(_texts(before), _texts(after), strict=True)
    return sorted({pair for one, other in both for pair in _pairs(one, other, old, new)})


def _parts(text: str) -> list[tuple[int, str]]:
    """Return the tokens of a text with their key versions: the text itself, or the labels in it."""
    if whole := Token.form.fullmatch(text):
        return [(int(whole.group(1)), text)]
    return [(int(label.group(2)), label.group(1)) for label in LABEL.finditer(text)]


def _leaves(text: str) -> list[str]:
    """Return the strings of a JSON document in order; of another text, the text."""
    if text.startswith(("{", "[", '"')):
        try:
            return list(_strings(json.loads(text)))
        except (ValueError, RecursionError):
            pass
    return [text]


def _tokens(text: str, version: int) -> Iterator[str]:
    yield from (token for leaf in _leaves(text) for number, token in _parts(leaf) if number == version)


def _pairs(before: str, after: str, old: int, new: int) -> Iterator[tuple[str, str]]:
    leaves = _leaves(before), _leaves(after)
    if len(leaves[0]) != len(leaves[1]):
        return
    for one, other in zip(*leaves, strict=True):
        parts = _parts(one), _parts(other)
        if len(parts[0]) == len(parts[1]):
            for (a, outgoing), (b, incoming) in zip(*parts, strict=True):
                if (a, b) == (old, new):
                    yield outgoing, incoming


def _strings(document: Any) -> Iterator[str]:
    if isinstance(document, dict | list):
        for value in document.values() if isinstance(document, dict) else document:
            yield from _strings(value)
    elif isinstance(document, str):
        yield document


def _texts(values: pa.Array) -> Iterator[str]:
    """Yield the strings of a column in order, also inside of lists, maps and structs; empty for null."""
    import pyarrow as pa

    kind = values.type
    if tree.is_list(kind):
        yield from _texts(values.flatten())
    elif pa.types.is_map(kind):
        yield from _texts(values.keys)
        yield from _texts(values.items)
    elif pa.types.is_struct(kind):
        for inner in values.flatten():
            yield from _texts(inner)
    elif pa.types.is_string(kind):
        yield from ("" if text is None else text for text in values.to_pylist())
