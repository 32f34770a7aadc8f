"""Compile a contract for a schema: a tree of operators for every column, which protects any number of batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataward.contract import Column, Contract
from dataward.contract.protections import Invalid, Json, RedactText
from dataward.errors import Problem, ProtectionError, did_you_mean
from dataward.keys import KeyProvider, Purpose
from dataward.privacy.discover.custom import with_custom
from dataward.privacy.protect import tree
from dataward.privacy.protect.date_shift import DateShiftOperator
from dataward.privacy.protect.drop import DropOperator
from dataward.privacy.protect.encrypt import EncryptOperator
from dataward.privacy.protect.encrypt_random import EncryptRandomOperator
from dataward.privacy.protect.entries import Entered
from dataward.privacy.protect.fpe import FpeOperator
from dataward.privacy.protect.generalize import GeneralizeOperator
from dataward.privacy.protect.json import JsonOperator
from dataward.privacy.protect.keep import KeepOperator
from dataward.privacy.protect.leaf import Leaf
from dataward.privacy.protect.mask import MaskOperator
from dataward.privacy.protect.null import NullOperator
from dataward.privacy.protect.operator import Key, Operator, Rows, Unfit
from dataward.privacy.protect.perturb import PerturbOperator
from dataward.privacy.protect.pick import PickOperator
from dataward.privacy.protect.redact import RedactOperator
from dataward.privacy.protect.redact_text import RedactTextOperator
from dataward.privacy.protect.shred import ShredOperator
from dataward.privacy.protect.token import TokenOperator
from dataward.privacy.protect.vault import VaultOperator

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "FALLBACK",
    "OPERATORS",
    "Compiled",
    "ambiguous",
    "compiled",
    "key_of",
    "keyed",
    "leaf_of",
    "misfits",
    "needing_spark",
    "read_by",
    "undecided",
    "uses",
    "within",
]

OPERATORS: dict[str, type[Operator]] = {
    "date_shift": DateShiftOperator,
    "drop": DropOperator,
    "encrypt": EncryptOperator,
    "encrypt_random": EncryptRandomOperator,
    "fpe": FpeOperator,
    "generalize": GeneralizeOperator,
    "json": JsonOperator,
    "keep": KeepOperator,
    "mask": MaskOperator,
    "null": NullOperator,
    "perturb": PerturbOperator,
    "pick": PickOperator,
    "redact": RedactOperator,
    "redact_text": RedactTextOperator,
    "token": TokenOperator,
    "shred": ShredOperator,
    "vault": VaultOperator,
}

FALLBACK = " (fallback)"
"""Suffix of a place for the results of its fallback."""

KeyOf = Callable[[Purpose, str], Key]


def key_of(keys: KeyProvider) -> KeyOf:
    """Return a function from purpose and domain to the key for new writes."""

    def key(purpose: Purpose, domain: str) -> Key:
        version = keys.current(domain)
        return Key(domain, version, keys.key(purpose, domain, version))

    return key


def no_keys(purpose: Purpose, domain: str) -> Key:
    """Return a key without a secret, to check types only."""
    return Key(domain, 0, b"")


@dataclass(frozen=True)
class Compiled:
    """Every column of a schema with its tree of operators."""

    columns: tuple[tuple[str, tree.Node], ...]

    def apply(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Protect a batch of this schema.

        Raises:
            ProtectionError: a value cannot be protected, and the contract does not say what becomes of it.
        """
        import pyarrow as pa

        rows, made = Rows(batch), {}
        for (name, node), values in zip(self.columns, batch.columns, strict=True):
            if tree.left(node):
                made[name] = tree.apply(node, values, rows)
        return pa.RecordBatch.from_arrays(list(made.values()), names=list(made))


def compiled(contract: Contract, keys: KeyOf, schema: pa.Schema, strict: bool = True) -> Compiled:
    """Build the trees of all columns; unless ``strict``, a value that would stop the run becomes null.

    Raises:
        ProtectionError: an operator does not go with a column's type.
    """
    columns = []
    for field in schema:
        try:
            columns.append((field.name, _tree(contract, keys, field, strict)))
        except Unfit as error:
            raise ProtectionError(f"column '{field.name}': {error.what}; {error.remedy}") from None
    return Compiled(tuple(columns))


def keyed(leaf: Leaf, where: str = "") -> Iterator[tuple[str, Operator]]:
    """Yield every keyed operator of a leaf with its place: its own, those within JSON, and fallbacks."""
    where, operator = where or leaf.where, leaf.operator
    if operator.key is not None:
        yield where, operator
    if isinstance(operator, JsonOperator):
        for inner in operator.leaves:
            yield from keyed(inner)
    if leaf.fallback is not None:
        yield from keyed(leaf.fallback, f"{where}{FALLBACK}")


def leaf_of(contract: Contract, keys: KeyOf, name: str, path: tuple[str, ...] = ()) -> Leaf:
    """Return the leaf for a path within a column; values that it cannot protect become null."""
    return _leaf(contract.line(name, path), ".".join((name, *path)), contract, keys, strict=False)


def uses(contract: Contract, keys: KeyOf, field: pa.Field) -> list[tuple[str, Operator]]:
    """Yield every place of a column (raw or protected) with a keyed operator, and the operator."""
    leaves = (leaf_of(contract, keys, field.name, parts) for _, parts in tree.paths(field))
    return [use for leaf in leaves for use in keyed(leaf)]


def misfits(contract: Contract, field: pa.Field, schema: pa.Schema) -> Problem | None:
    """Return why an operator does not support a column's type, as a problem without a place; None if all do."""
    import pyarrow as pa

    try:
        node = _tree(contract, no_keys, field)
    except Unfit as error:
        return Problem("", 0, field.name, error.what, error.remedy)
    for name in (name for leaf in tree.leaves(node) for name in leaf.reads):
        if name not in schema.names:
            remedy = did_you_mean(name, schema.names) or f"the columns are {', '.join(schema.names)}"
            return Problem("", 0, field.name, f"it reads '{name}', which is no column", remedy)
        if pa.types.is_nested(kind := schema.field(name).type):
            return Problem("", 0, field.name, f"it reads '{name}', which is {kind}", "name a column of plain values")
    return None


def read_by(contract: Contract, field: pa.Field) -> set[str]:
    """Return the other columns that a column's operators read.

    Raises:
        Unfit: an operator does not go with the column's type.
    """
    return {name for leaf in tree.leaves(_tree(contract, no_keys, field)) for name in leaf.reads}


def needing_spark(made: Compiled) -> list[str]:
    """Return the columns that only Spark can protect."""
    return [leaf.where for _, node in made.columns for leaf in tree.leaves(node) if isinstance(leaf.operator, Entered)]


def within(field: pa.Field) -> set[str]:
    """Yield every path that an entry of the contract may name: the column's, and those within it."""
    return {".".join((field.name, *parts[:n])) for _, parts in tree.paths(field) for n in range(len(parts) + 1)}


def ambiguous(schema: pa.Schema) -> list[str]:
    """Return the paths of entries that are ambiguous, such as column ``a.b`` and field ``b`` of struct ``a``."""
    places: dict[str, set[tuple[str, ...]]] = {}
    for field in schema:
        for _, parts in tree.paths(field):
            for n in range(len(parts) + 1):
                place = (field.name, *parts[:n])
                places.setdefault(".".join(place).lower(), set()).add(place)
    return [".".join(min(found)) for found in places.values() if len(found) > 1]


def undecided(contract: Contract, field: pa.Field) -> list[str]:
    """Return the paths of a column without an entry in the contract, where its default is to refuse."""
    if contract.default != "refuse":
        return []
    return [path for path, parts in tree.paths(field) if contract.decided(field.name, parts) is None]


def _tree(contract: Contract, keys: KeyOf, field: pa.Field, strict: bool = True) -> tree.Node:
    def at(path: tuple[str, ...]) -> Leaf:
        return _leaf(contract.line(field.name, path), ".".join((field.name, *path)), contract, keys, strict)

    node = tree.build(field.type, at)
    if not isinstance(node, Leaf) and any(isinstance(leaf.operator, Entered) for leaf in tree.leaves(node)):
        raise Unfit(
            "vault and shred protect whole columns of plain values", "use token or encrypt inside of nested columns"
        )
    return node


def _leaf(line: Column, where: str, contract: Contract, keys: KeyOf, strict: bool) -> Leaf:
    given, kind = line.protect, OPERATORS[line.protect.op]
    takes_key = kind.purpose is not None and getattr(given, "tokens", True)  # redact_text may go without tokens
    key = keys(kind.purpose, contract.domain(line)) if kind.purpose and takes_key else None
    if isinstance(given, Json):
        inside = {
            path: _leaf(inner, f"{where}: {path}", contract, keys, strict) for path, inner in given.fields.items()
        }
        rest = _leaf(line.model_copy(update={"protect": given.rest}), f"{where}: rest", contract, keys, strict)
        operator: Operator = JsonOperator(given, key, line.class_, inside, rest)
    elif isinstance(given, RedactText):
        classes = tuple(contract.line(name).class_ for name in given.also)
        operator = RedactTextOperator(given, key, line.class_, with_custom(contract.discovery.detectors), classes)
    else:
        operator = kind(given, key, line.class_)
    invalid: Invalid | None = getattr(given, "invalid", None)
    fallback = None
    if invalid is not None and invalid.fallback is not None:
        fallback = _leaf(line.model_copy(update={"protect": invalid.fallback}), where, contract, keys, strict)
    return Leaf(where, operator, strict and (invalid is None or invalid.action == "error"), fallback)
