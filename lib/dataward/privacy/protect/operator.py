"""What an operator is: a pure function of Arrow arrays, and of Spark columns where the JVM alone can do it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from dataward.privacy.keys import Purpose

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TEXT_IN_JVM", "Key", "Made", "Operator", "Rows", "Unfit"]

TEXT_IN_JVM = frozenset({"string", "byte", "short", "integer", "long", "boolean", "binary"})
"""Spark types whose cast to string is the text that :func:`dataward.privacy.protect.texts.texts` gives."""


class Unfit(Exception):
    """An operator does not go with a type: ``what`` is wrong, and the ``remedy``."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what, self.remedy = what, remedy


@dataclass(frozen=True)
class Key:
    """The key of one purpose in a domain, at the version of new writes. ``repr`` shows no secret."""

    domain: str
    version: int
    secret: bytes = field(repr=False)


@dataclass(frozen=True)
class Rows:
    """The raw rows that values stand in, and which row each value stands in (None: one value a row)."""

    batch: pa.RecordBatch
    index: Any = None

    def column(self, name: str) -> pa.Array:
        """Another column of the raw rows, one value for each value that is protected."""
        values = self.batch.column(self.batch.schema.get_field_index(name))
        return values if self.index is None else values.take(self.index)

    def at(self, places: Sequence[int]) -> Rows:
        """The rows of some of the values, by their places."""
        import numpy as np
        import pyarrow as pa

        there = np.asarray(places, np.int64)
        return Rows(self.batch, pa.array(there if self.index is None else np.asarray(self.index)[there]))

    def repeated(self, counts: Any) -> Rows:
        """The same for elements: ``counts`` of them in each value."""
        import numpy as np
        import pyarrow as pa

        index = np.arange(len(counts)) if self.index is None else np.asarray(self.index)
        return Rows(self.batch, pa.array(np.repeat(index, counts)))


Made = tuple["pa.Array", Any]
"""Protected values, and None or a boolean numpy array of those that could not be protected (null among the values)."""


@dataclass(frozen=True)
class Operator(ABC):
    """One protection of leaf values (never lists, maps or structs); travels to the workers.

    ``parameters`` is the contract's model. NULL stays NULL. What a value needs in order to be protected stands in
    ``needs``; what happens to other values is the contract's ``invalid``.
    """

    parameters: Any
    key: Key | None = None
    class_: str | None = None

    purpose: ClassVar[Purpose | None] = None
    """Which key it takes, if any."""

    @abstractmethod
    def output(self, kind: pa.DataType) -> pa.DataType:
        """The type that values of a type become.

        Raises:
            Unfit: it does not protect values of this type.
        """

    @abstractmethod
    def apply(self, values: pa.Array, rows: Rows) -> Made:
        """Protect values."""

    def column(self, column: Any, kind: str) -> Any:
        """The same as a Spark column of values of a Spark type, or None where Arrow is needed."""
        return None

    @property
    def deterministic(self) -> bool:
        """Equal values become equal, and nothing but the value counts: each distinct value is protected once."""
        return True

    @property
    def needs(self) -> str:
        """What a value has to be, for people."""
        return "valid UTF-8"

    @property
    def refuses(self) -> bool:
        """Whether a value may be one that it cannot protect, though the type fits and text is UTF-8."""
        return bool(self.parameters.refuses(self.class_))

    @property
    def stops_inside(self) -> bool:
        """Whether one of the operators that it hands parts of a value to may stop the run."""
        return False

    @property
    def reads(self) -> tuple[str, ...]:
        """Other columns of the row that it reads."""
        return ()

    @property
    def secret(self) -> bytes:
        assert self.key is not None, "an operator with a purpose is made with a key"  # noqa: S101
        return self.key.secret
