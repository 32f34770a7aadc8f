"""``drop``: the column, or the field of a struct, does not reach the target.

Protects against: everything, also knowing that there was such a column.
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
    """Never applied: what is dropped is left out of the output."""

    parameters: Drop

    def output(self, kind: pa.DataType) -> pa.DataType:
        raise Unfit("elements of arrays and maps cannot be dropped", "use null or redact, or drop the whole column")

    def apply(self, values: pa.Array, rows: Rows) -> Made:
        raise NotImplementedError
