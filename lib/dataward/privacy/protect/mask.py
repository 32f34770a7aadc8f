"""``mask``: the first and last few characters stay, every other character becomes ``char``; type becomes string.

Protects against: reading the masked part. Does not protect against: reading the visible part and the length, and combining
the visible parts of several tables. A value that is no longer than the visible part is masked completely.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.contract.protections import Mask
from dataward.privacy.protect.operator import TEXT_IN_JVM, Made, Operator, Rows, Unfit
from dataward.privacy.protect.texts import texts, unreadable, without

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MaskOperator"]


@dataclass(frozen=True)
class MaskOperator(Operator):
    """Implementation of ``mask``."""

    parameters: Mask

    def output(self, kind: pa.DataType) -> pa.DataType:
        """Return the output type, or raise Unfit."""
        import pyarrow as pa

        if pa.types.is_binary(kind):
            raise Unfit("mask cannot protect binary values, which have no characters", "use token, redact or drop")
        return pa.string()

    def apply(self, values: pa.Array, rows: Rows) -> Made:
        """Protect an array of values."""
        import pyarrow.compute as pc

        text, first, last = texts(values), self.parameters.keep_first, self.parameters.keep_last
        bad = unreadable(text)
        text = without(text, bad)
        length = pc.utf8_length(text)
        long = pc.greater(length, first + last)
        hidden = pc.binary_repeat(self.parameters.char, pc.if_else(long, pc.subtract(length, first + last), length))
        head = pc.if_else(long, pc.utf8_slice_codeunits(text, 0, first), "") if first else ""
        tail = pc.if_else(long, pc.utf8_slice_codeunits(text, -last), "") if last else ""
        return pc.binary_join_element_wise(head, hidden, tail, ""), bad

    def column(self, column: Any, kind: str) -> Any:
        """Return the protection as an expression of the JVM; None for types that need Arrow."""
        from pyspark.sql import functions as F

        if kind not in TEXT_IN_JVM:
            return None
        text, first, last = column.cast("string"), self.parameters.keep_first, self.parameters.keep_last
        length = F.length(text)
        long = length > first + last
        head = F.when(long, F.substring(text, 1, first)).otherwise("")
        tail = F.when(long, text.substr(length - last + 1, F.lit(last))).otherwise("")
        stars = F.call_function(
            "repeat", F.lit(self.parameters.char), F.when(long, length - first - last).otherwise(length)
        )
        return F.when(text.isNotNull(), F.concat(head, stars, tail))
