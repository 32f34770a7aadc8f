"""``keep``: the unchanged value, by explicit decision.

Protects against: nothing. Every seal records the reason that the contract gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.contract.protections import Keep
from dataward.privacy.protect.operator import Made, Operator, Rows

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["KeepOperator"]


@dataclass(frozen=True)
class KeepOperator(Operator):
    """Implementation of ``keep``."""

    parameters: Keep

    def output(self, kind: pa.DataType) -> pa.DataType:
        """Return the input type, which stays."""
        return kind

    def apply(self, values: pa.Array, rows: Rows) -> Made:
        """Return the values unchanged."""
        return values, None

    def column(self, column: Any, kind: str) -> Any:
        """Return the column unchanged."""
        return column
