"""``redact``: every value becomes one constant text; type becomes string.

Protects against: everything except the knowledge that there was a value. Does not protect against: inference from other columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.contract.protections import Redact
from dataward.privacy.protect.operator import Made, Operator, Rows

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["RedactOperator"]


@dataclass(frozen=True)
class RedactOperator(Operator):
    """Implementation of ``redact``."""

    parameters: Redact

    def output(self, kind: pa.DataType) -> pa.DataType:
        """Return string, the output type for every input type."""
        import pyarrow as pa

        return pa.string()

    def apply(self, values: pa.Array, rows: Rows) -> Made:
        """Protect an array of values."""
        import pyarrow as pa
        import pyarrow.compute as pc

        return pc.if_else(values.is_valid(), self.parameters.with_, pa.scalar(None, pa.string())), None

    def column(self, column: Any, kind: str) -> Any:
        """Return the protection as an expression of the JVM."""
        from pyspark.sql import functions as F

        return F.when(column.isNotNull(), F.lit(self.parameters.with_))
