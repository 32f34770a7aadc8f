"""Apply an operator to a leaf of a column, and handle values that it cannot protect; none passes through."""

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
    """An operator of a leaf; values that it cannot protect go to ``fallback``, else stop the run (``strict``) or become null."""

    where: str
    operator: Operator
    strict: bool = True
    fallback: Leaf | None = None

    def output(self, kind: pa.DataType) -> pa.DataType:
        """Return the output type for an input type.

        Raises:
            Unfit: the operator does not support this type, or the fallback has another output type.
        """
        import pyarrow as pa

        if pa.types.is_null(kind):
            return kind
        output = self.operator.output(kind)
        if self.fallback is not None and (fallback_output := self.fallback.output(kind)) != output:
            remedy = "use a fallback that keeps the type, or null"
            raise Unfit(f"{self._name} makes {output} of it and its fallback {fallback_output}", remedy)
        return output

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
                protected, bad = by_distinct(values, lambda distinct: self.operator.apply(distinct, rows))
            else:
                protected, bad = self.operator.apply(values, rows)
        except ProtectionError:
            raise
        except Exception as error:  # the message may hold a value
            raise ProtectionError(f"{self.where}: {self._name} failed with {type(error).__name__}") from None
        return protected if bad is None else self._mended(values, protected, bad, rows)

    def _mended(self, values: pa.Array, protected: pa.Array, bad: object, rows: Rows) -> pa.Array:
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        which = np.asarray(bad)
        if self.fallback is not None:
            unfit = values.filter(pa.array(which))
            return pc.replace_with_mask(
                protected, pa.array(which), self.fallback.apply(unfit, rows.at(np.flatnonzero(which).tolist()))
            )
        if self.strict:
            raise ProtectionError(self.refusal())
        return protected

    def refusal(self) -> str:
        """Return the message, without a value, for values that cannot be protected."""
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
    """Return whether a leaf supports a type."""
    try:
        leaf.output(kind)
    except Unfit:
        return False
    return True
