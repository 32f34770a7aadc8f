"""``json``: JSON in a string; values at the named paths are protected by their operators, all others by ``rest``.

Protects against: the same as the operators of the values. Does not protect against: inference from the names of keys and the
structure of a document.

A path is the keys from the outermost to the innermost, joined by dots; elements of arrays have the path of the array. The entry
with the longest matching path applies. Null stays null. Text that is not JSON (RFC 8259), or holds numbers beyond 64 bits or
half of a surrogate pair, is invalid as a whole. A value whose type its operator does not support is invalid for that operator.
The output is compact JSON; unprotected fractions may be spelled differently (1.50 as 1.5).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dataward.contract.protections import Json
from dataward.errors import ProtectionError
from dataward.privacy.protect.leaf import Leaf, fits
from dataward.privacy.protect.operator import Made, Operator, Rows, Unfit

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["JsonOperator"]

Slot = tuple[Any, Any]
"""Place of a value in its document: the list or object around it, and its index or key."""


@dataclass(frozen=True)
class JsonOperator(Operator):
    """Implementation of ``json``."""

    parameters: Json
    fields: dict[str, Leaf] = field(default_factory=dict)
    rest: Leaf | None = None

    @property
    def deterministic(self) -> bool:
        """Whether the results depend on the value only."""
        return all(leaf.operator.deterministic and not leaf.reads for leaf in self.leaves)

    @property
    def needs(self) -> str:
        """Description of valid values, for messages."""
        return "JSON"

    @property
    def stops_inside(self) -> bool:
        """Whether an operator of a value inside may stop the run."""
        return any(leaf.may_stop for leaf in self.leaves)

    @property
    def reads(self) -> tuple[str, ...]:
        """Other columns of the row that the operators inside read."""
        return tuple(name for leaf in self.leaves for name in leaf.reads)

    @property
    def leaves(self) -> tuple[Leaf, ...]:
        """The leaf of each named path, then the leaf of the rest."""
        assert self.rest is not None  # noqa: S101 - the constructor receives its leaves
        return (*self.fields.values(), self.rest)

    def output(self, kind: pa.DataType) -> pa.DataType:
        """Return the input type, or raise Unfit."""
        import pyarrow as pa

        if not pa.types.is_string(kind):
            raise Unfit(f"json cannot protect {kind}", "it goes with strings; name nested columns by dotted paths")
        return kind

    def apply(self, values: pa.Array, rows: Rows) -> Made:
        """Protect an array of documents."""
        import numpy as np
        import pyarrow as pa

        documents: list[list[Any] | None] = []
        slots: dict[tuple[int, type], list[Slot]] = {}
        counts: dict[tuple[int, type], list[int]] = {}
        for place, text in enumerate(values.cast(pa.binary()).to_pylist()):
            document, found = (None, []) if text is None else self._read(text)
            documents.append(document)
            for key, slot in found:
                slots.setdefault(key, []).append(slot)
                counts.setdefault(key, []).append(place)
        for (number, kind), places in slots.items():
            self._protect(self.leaves[number], kind, places, rows.at(counts[number, kind]))
        made = pa.array(
            [None if document is None else self._written(document[0]) for document in documents], pa.string()
        )
        bad = np.asarray(made.is_null()) & np.asarray(values.is_valid())
        return made, bad if bad.any() else None

    def _read(self, text: bytes) -> tuple[list[Any] | None, list[tuple[tuple[int, type], Slot]]]:
        """Return a document in a list, and the places of its values by leaf and type; None for text that is not JSON."""
        found: list[tuple[tuple[int, type], Slot]] = []
        try:
            root = [json.loads(text.decode(), parse_constant=_refuse, parse_float=_finite, parse_int=_in_64_bits)]
            self._written(root[0]).encode()
            self._walk(root, 0, "", found.append)
        except (ValueError, RecursionError):
            return None, []
        return root, found

    def _walk(self, holder: Any, at: Any, path: str, tell: Callable[[tuple[tuple[int, type], Slot]], None]) -> None:
        value = holder[at]
        if isinstance(value, dict):
            for key in value:
                self._walk(value, key, f"{path}.{key}" if path else key, tell)
        elif isinstance(value, list):
            for index in range(len(value)):
                self._walk(value, index, path, tell)
        elif value is not None:
            tell(((self._speaks_for(path), type(value)), (holder, at)))

    def _speaks_for(self, path: str) -> int:
        """Return the number of the leaf with the longest matching path; the last one is the rest."""
        numbered = list(enumerate(self.fields))
        leading = [(len(name), n) for n, name in numbered if path == name or path.startswith(f"{name}.")]
        return max(leading)[1] if leading else len(numbered)

    @staticmethod
    def _protect(leaf: Leaf, kind: type, places: list[Slot], rows: Rows) -> None:
        import pyarrow as pa

        values = pa.array(
            [holder[at] for holder, at in places],
            {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}[kind],
        )
        if fits(leaf, values.type):
            made = leaf.apply(values, rows).to_pylist()
        elif leaf.fallback is not None:
            made = leaf.fallback.apply(values, rows).to_pylist()
        elif leaf.strict:
            raise ProtectionError(
                f"{leaf.where}: it holds values of type {kind.__name__} inside JSON, which "
                f"{leaf.operator.parameters.op} does not protect. Nothing was published; say what becomes of them with 'invalid'"
            )
        else:
            made = [None] * len(values)
        for (holder, at), value in zip(places, made, strict=True):
            holder[at] = value

    @staticmethod
    def _written(document: Any) -> str:
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _refuse(constant: str) -> Any:
    raise ValueError("NaN and infinities are no JSON")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError("beyond 64 bits")
    return value


def _in_64_bits(text: str) -> int:
    value = int(text)
    if not -(2**63) <= value < 2**63:
        raise ValueError("beyond 64 bits")
    return value
