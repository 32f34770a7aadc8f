"""Every decision about the columns of one schema: resolved once, frozen, and passed on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from dataward.contract import Column, Contract
from dataward.keys import KeyProvider
from dataward.privacy.protect import tree
from dataward.privacy.protect.compiled import Compiled, compiled, key_of

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

__all__ = ["ColumnPlan", "Decision", "with_statistics"]

WITHOUT_STATISTICS = frozenset({"array", "map", "struct", "boolean", "binary", "void"})
"""Types of which Delta stores no minima and maxima."""

NESTED = frozenset({"array", "map", "struct"})


def with_statistics(written: StructType, left_out: Iterable[str]) -> list[str]:
    """Return the columns of which Delta may store minima and maxima, without those to be left out.

    Delta stores none of nested, boolean and binary columns; of partition columns it stores the values anyway.
    """
    without = {name.lower() for name in left_out}
    plain = [one.name for one in written.fields if one.dataType.typeName() not in WITHOUT_STATISTICS]
    return [name for name in plain if name.lower() not in without]


@dataclass(frozen=True)
class Decision:
    """What is decided about one column.

    Attributes:
        kind: simple name of its type in the source.
        line: its class, its operator with all facts of it, and its key domain.
        sensitive: its values, and those of anything inside it, are kept out of statistics, logs and reports.
        whole: no line names anything inside it.
    """

    name: str
    kind: str
    line: Column
    sensitive: bool
    whole: bool

    @property
    def kept(self) -> bool:
        """Whether the output holds the source's values, all of them."""
        return self.line.protect.keeps and self.whole


@dataclass(frozen=True)
class ColumnPlan:
    """The decisions about a schema's columns, and the operators that carry them out.

    Attributes:
        columns: the decision about each column of ``schema``, in its order.
        shadows: by column, the second column of the output while a rotation's window is open for its key domain.
        subject: the column that names a person, where the contract has one.
    """

    contract: Contract = field(repr=False)
    keys: KeyProvider = field(repr=False)
    schema: StructType
    columns: tuple[Decision, ...]
    shadows: dict[str, str]
    subject: str | None

    @classmethod
    def resolve(cls, contract: Contract, keys: KeyProvider, schema: StructType) -> ColumnPlan:
        """Decide about the columns of a schema.

        Args:
            contract: the contract.
            keys: the keyring, asked for open windows now and for keys once a column is compiled.
            schema: the source's own columns, as repairs leave their types.
        """
        from dataward.privacy.protect.window import shadows

        columns = tuple(
            Decision(
                one.name,
                one.dataType.typeName(),
                contract.line(one.name),
                contract.sensitive(one.name),
                not any(path.lower().startswith(f"{one.name.lower()}.") for path in contract.columns),
            )
            for one in schema.fields
        )
        plain = (one.name for one in columns if one.kind not in NESTED)
        subject = contract.erasure.subject if contract.erasure else None
        return cls(contract, keys, schema, columns, shadows(contract, keys, plain), subject)

    def of(self, name: str) -> Decision:
        """Return the decision about a column; case does not count."""
        return self._by_name[name.lower()]

    def named(self, name: str) -> bool:
        """Return whether a column is one of this schema."""
        return name.lower() in self._by_name

    @property
    def sensitive(self) -> tuple[str, ...]:
        """Sensitive columns of the source and of the output, second columns among them."""
        own = [one.name for one in self.columns if one.sensitive]
        return (*own, *(shadow for name, shadow in self.shadows.items() if self.of(name).sensitive))

    @property
    def guessable(self) -> tuple[str, ...]:
        """Columns whose values can be recognised by their frequencies."""
        return tuple(one.name for one in self.columns if one.line.protect.guessable)

    @property
    def readable(self) -> tuple[str, ...]:
        """Columns that leave the job as they are, and are not sensitive."""
        return tuple(one.name for one in self.columns if one.line.protect.keeps and not one.sensitive)

    @property
    def changed(self) -> tuple[str, ...]:
        """Columns whose values are replaced by others."""
        return tuple(one.name for one in self.columns if one.line.protect.changes)

    @property
    def repeatable(self) -> bool:
        """Whether the same source rows are written as the same rows each time."""
        return not any(part.random for one in self.columns for part in one.line.protect.parts())

    def statistics(self, written: StructType) -> list[str]:
        """Return the columns of an output whose minima and maxima Delta may store in its log, without sensitive ones."""
        return with_statistics(written, (*self.sensitive, *self.contract.target.partition_by))

    def operators(self, strict: bool = True) -> Compiled:
        """Return the operators of all columns; unless ``strict``, a value that would stop the run becomes null.

        Raises:
            ProtectionError: an operator does not go with a column's type.
        """
        return self._strict if strict else self._lenient

    def stopping(self) -> tuple[str, ...]:
        """Return the columns in which a value of a supported type can stop the run."""
        return tuple(name for name, node in self._strict.columns if any(leaf.may_stop for leaf in tree.leaves(node)))

    def for_columns(self, schema: StructType, strict: bool = True) -> Compiled:
        """Return the operators of some of the columns, in the order of a frame's schema; compiled again where a type differs."""
        known = {one.name: one.dataType for one in self.schema.fields}
        if any(known.get(one.name) != one.dataType for one in schema.fields):
            return ColumnPlan.resolve(self.contract, self.keys, schema).operators(strict)
        nodes = dict(self.operators(strict).columns)
        return Compiled(tuple((name, nodes[name]) for name in schema.names))

    @cached_property
    def _by_name(self) -> dict[str, Decision]:
        return {one.name.lower(): one for one in self.columns}

    @cached_property
    def _strict(self) -> Compiled:
        return self._compiled(strict=True)

    @cached_property
    def _lenient(self) -> Compiled:
        return self._compiled(strict=False)

    def _compiled(self, strict: bool) -> Compiled:
        from dataward.privacy.protect.spark import arrow_schema

        return compiled(self.contract, key_of(self.keys), arrow_schema(self.schema), strict)
