"""``null``: every value becomes null; the type stays.

Protects against: everything, including the knowledge that there was a value. Does not protect against: inference from other
columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.contract.protections import Null
from dataward.privacy.protect.operator import Made, Operator, Rows

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["NullOperator"]


@dataclass(frozen=True)
class NullOperator(Operator):
    """Implementation of ``null``."""

    parameters: Null

    def output(self, kind: pa.DataType) -> pa.DataType:
        """Return the input type, which stays."""
        return kind

    def apply(self, values: pa.Array, rows: Rows) -> Made:
        """Return nulls."""
        import pyarrow as pa

        return pa.nulls(len(values), values.type), None

    def column(self, column: Any, kind: str) -> Any:
        """Return nulls of the column's type."""
        from pyspark.sql import functions as F

        return F.when(F.lit(False), column)
