"""``drop``: the column, or the field of a struct, is left out of the target.

Protects against: everything, including the knowledge that the column exists.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataward.contract.protections import Drop
from dataward.privacy.protect.operator import Made, Operator, Rows, Unfit

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["DropOperator"]


@dataclass(frozen=True)
class DropOperator(Operator):
    """Marker of a dropped column or field; it is never applied, since the output leaves the column out."""

    parameters: Drop

    def output(self, kind: pa.DataType) -> pa.DataType:
        """Raise Unfit: only whole columns and fields of structs can be dropped."""
        raise Unfit("elements of arrays and maps cannot be dropped", "use null or redact, or drop the whole column")

    def apply(self, values: pa.Array, rows: Rows) -> Made:
        """Raise NotImplementedError: dropped values are never protected."""
        raise NotImplementedError
