"""``null``: every value becomes null; the type stays.

Protects against: everything, also knowing that there was a value. Does not protect against: what other columns say.
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
    parameters: Null

    def output(self, kind: pa.DataType) -> pa.DataType:
        return kind

    def apply(self, values: pa.Array, rows: Rows) -> Made:
        import pyarrow as pa

        return pa.nulls(len(values), values.type), None

    def column(self, column: Any, kind: str) -> Any:
        from pyspark.sql import functions as F

        return F.when(F.lit(False), column)
