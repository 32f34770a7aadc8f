"""A leaf: an operator at its place, and what happens to values that it cannot protect. None is ever passed through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataward.errors import ProtectionError
from dataward.privacy.protect.operator import Operator, Rows, Unfit
from dataward.privacy.protect.texts import by_distinct

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Leaf", "fits"]


@dataclass(frozen=True)
class Leaf:
    """``fallback`` protects what ``operator`` cannot; without one such values become null, or stop the run (``strict``)."""

    where: str
    operator: Operator
    strict: bool = True
    fallback: Leaf | None = None

    def output(self, kind: pa.DataType) -> pa.DataType:
        """The type that values of a type become.

        Raises:
            Unfit: the operator does not protect this type, or the fallback makes another type of it.
        """
        import pyarrow as pa

        if pa.types.is_null(kind):
            return kind
        made = self.operator.output(kind)
        if self.fallback is not None and (other := self.fallback.output(kind)) != made:
            remedy = "use a fallback that keeps the type, or null"
            raise Unfit(f"{self._name} makes {made} of it and its fallback {other}", remedy)
        return made

    def apply(self, values: pa.Array, rows: Rows) -> pa.Array:
        """Protect values.

        Raises:
            ProtectionError: a value cannot be protected and ``invalid`` is error; the message holds no value.
        """
        import pyarrow as pa

        if pa.types.is_null(values.type):
            return values
        try:
            if self.operator.deterministic:
                made, bad = by_distinct(values, lambda distinct: self.operator.apply(distinct, rows))
            else:
                made, bad = self.operator.apply(values, rows)
        except ProtectionError:
            raise
        except Exception as error:  # its message may hold a value
            raise ProtectionError(f"{self.where}: {self._name} failed with {type(error).__name__}") from None
        return made if bad is None else self._mended(values, made, bad, rows)

    def _mended(self, values: pa.Array, made: pa.Array, bad: object, rows: Rows) -> pa.Array:
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        which = np.asarray(bad)
        if self.fallback is not None:
            unfit = values.filter(pa.array(which))
            return pc.replace_with_mask(
                made, pa.array(which), self.fallback.apply(unfit, rows.at(np.flatnonzero(which).tolist()))
            )
        if self.strict:
            raise ProtectionError(self.refusal())
        return made

    def refusal(self) -> str:
        """Why the run stops on a value that cannot be protected, without the value."""
        return (
            f"{self.where}: it holds values that {self._name} cannot protect, which needs {self.operator.needs}. Nothing was "
            "published; say what becomes of others with 'invalid: null' or 'invalid: {fallback: OPERATOR}'"
        )

    @property
    def may_stop(self) -> bool:
        """Whether a value of the right type can stop the run."""
        outside = self.fallback.may_stop if self.fallback else self.strict and self.operator.refuses
        return outside or self.operator.stops_inside

    @property
    def reads(self) -> tuple[str, ...]:
        """Other columns of the row that its operator, or the fallback, reads."""
        return (*self.operator.reads, *(self.fallback.reads if self.fallback else ()))

    @property
    def _name(self) -> str:
        return str(self.operator.parameters.op)


def fits(leaf: Leaf, kind: pa.DataType) -> bool:
    try:
        leaf.output(kind)
    except Unfit:
        return False
    return True
