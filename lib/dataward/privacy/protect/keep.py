"""``keep``: the value as it is, by decision.

Protects against: nothing. The reason that the contract gives stands in every seal.
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
    parameters: Keep

    def output(self, kind: pa.DataType) -> pa.DataType:
        return kind

    def apply(self, values: pa.Array, rows: Rows) -> Made:
        return values, None

    def column(self, column: Any, kind: str) -> Any:
        return column
