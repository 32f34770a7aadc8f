"""Base class of operators: pure functions of Arrow arrays, and of Spark columns where the JVM suffices."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from dataward.keys import Purpose

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TEXT_IN_JVM", "Key", "Made", "Operator", "Rows", "Unfit"]

TEXT_IN_JVM = frozenset({"string", "byte", "short", "integer", "long", "boolean", "binary"})
"""Spark types whose cast to string equals the result of :func:`dataward.privacy.protect.texts.texts`."""


class Unfit(Exception):
    """An operator does not support a type; holds ``what`` is wrong and the ``remedy``."""

    def __init__(self, what: str, remedy: str) -> None:
        """Create an error with what is wrong and the remedy."""
        super().__init__(what)
        self.what, self.remedy = what, remedy


@dataclass(frozen=True)
class Key:
    """Key of one purpose in a domain, at the version for new writes; ``repr`` shows no secret."""

    domain: str
    version: int
    secret: bytes = field(repr=False)


@dataclass(frozen=True)
class Rows:
    """The raw rows of values; ``index`` is the row of each value (None: one value per row)."""

    batch: pa.RecordBatch
    index: Any = None

    def column(self, name: str) -> pa.Array:
        """Return another column of the raw rows, with one value for each protected value."""
        values = self.batch.column(self.batch.schema.get_field_index(name))
        return values if self.index is None else values.take(self.index)

    def at(self, places: Sequence[int]) -> Rows:
        """Return the rows of some of the values, by their indexes."""
        import numpy as np
        import pyarrow as pa

        there = np.asarray(places, np.int64)
        return Rows(self.batch, pa.array(there if self.index is None else np.asarray(self.index)[there]))

    def repeated(self, counts: Any) -> Rows:
        """Return the rows of elements, of which each value has ``counts``."""
        import numpy as np
        import pyarrow as pa

        index = np.arange(len(counts)) if self.index is None else np.asarray(self.index)
        return Rows(self.batch, pa.array(np.repeat(index, counts)))


Made = tuple["pa.Array", Any]
"""Protected values, and a boolean numpy array of invalid values (null in the result); None: all are valid."""


@dataclass(frozen=True)
class Operator(ABC):
    """One protection of leaf values (never lists, maps or structs), which is sent to the workers.

    ``parameters`` is the contract's model. NULL stays NULL. ``needs`` describes the valid values; the contract's ``invalid`` treats
    other values.
    """

    parameters: Any
    key: Key | None = None
    class_: str | None = None

    purpose: ClassVar[Purpose | None] = None
    """Purpose of the operator's key; None: it needs no key."""

    @abstractmethod
    def output(self, kind: pa.DataType) -> pa.DataType:
        """Return the output type for an input type.

        Raises:
            Unfit: the operator does not support this type.
        """

    @abstractmethod
    def apply(self, values: pa.Array, rows: Rows) -> Made:
        """Protect an array of values, which are in ``rows``."""

    def column(self, column: Any, kind: str) -> Any:
        """Return the protection of a column of a Spark type as Spark column; None where Arrow is needed."""
        return None

    @property
    def deterministic(self) -> bool:
        """Whether the result depends on the value only, so that each distinct value is protected once."""
        return True

    @property
    def needs(self) -> str:
        """Description of valid values, for messages."""
        return "valid UTF-8"

    @property
    def refuses(self) -> bool:
        """Whether values of a supported type, and valid UTF-8, can be invalid."""
        return bool(self.parameters.refuses(self.class_))

    @property
    def stops_inside(self) -> bool:
        """Whether an operator for parts of a value may stop the run."""
        return False

    @property
    def reads(self) -> tuple[str, ...]:
        """Other columns of the row that the operator reads."""
        return ()

    @property
    def secret(self) -> bytes:
        """The secret of the operator's key."""
        assert self.key is not None, "operators with a purpose have a key"  # noqa: S101
        return self.key.secret
