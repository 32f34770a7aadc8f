"""``date_shift``: dates and timestamps shifted by whole days, by the same number for all values of one entity.

Protects against: recognising a person by an exact date; the days between a person's events and the time of day stay
correct. Does not protect against: anyone who knows one true date of the entity (it reveals the shift, and so all other
dates), and against recognition by season or year where ``days`` is small.

The shift is one of -days..-1, 1..days: the first 64 bits of HMAC-SHA-256 of the entity's text under the domain's key, modulo
the number of shifts (0 is excluded, so that every date changes). A value without an entity, and a value whose shifted date is
outside of years 1 to 9999, are invalid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from dataward.contract.protections import DateShift
from dataward.keys import Purpose
from dataward.privacy.protect.operator import Made, Operator, Rows, Unfit
from dataward.privacy.protect.texts import by_distinct, messages, texts
from dataward.privacy.protect.token import macs, words

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["DateShiftOperator"]

FIRST, LAST = -719_162, 2_932_896  # days from 1970-01-01 to 0001-01-01 and to 9999-12-31
DAY = 86_400_000_000  # microseconds


@dataclass(frozen=True)
class DateShiftOperator(Operator):
    """Implementation of ``date_shift``."""

    parameters: DateShift
    purpose: ClassVar[Purpose | None] = "date_shift"

    @property
    def deterministic(self) -> bool:
        """False: the result depends on the entity as well."""
        return False

    @property
    def needs(self) -> str:
        """Description of valid values, for messages."""
        form = f" of the form {self.parameters.format}" if self.parameters.format else ""
        return f"a date{form} whose row has a '{self.parameters.by}', not at the calendar's ends"

    @property
    def reads(self) -> tuple[str, ...]:
        """The column of the entity."""
        return (self.parameters.by,)

    def output(self, kind: pa.DataType) -> pa.DataType:
        """Return the output type, or raise Unfit."""
        import pyarrow as pa

        if pa.types.is_string(kind) and self.parameters.format is None:
            raise Unfit("date_shift of text needs the dates' form", "give 'format', e.g. '%Y%m%d'")
        if not (pa.types.is_string(kind) or pa.types.is_date(kind) or pa.types.is_timestamp(kind)):
            raise Unfit(f"date_shift cannot protect {kind}", "it protects dates, timestamps, and text with a 'format'")
        return kind

    def apply(self, values: pa.Array, rows: Rows) -> Made:
        """Protect an array of values."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        shift, _ = by_distinct(texts(rows.column(self.parameters.by)).cast(pa.binary()), self._days)
        days = np.asarray(shift.fill_null(0)).astype(np.int64)
        bad = np.asarray(values.is_valid()) & np.asarray(shift.is_null())
        if pa.types.is_string(values.type):
            shifted, outside = self._shifted(
                pc.strptime(values, self.parameters.format, "us", error_is_null=True), days, DAY
            )
            result = pc.strftime(shifted.cast(pa.timestamp("s")), self.parameters.format)
            # A text is valid only if the format writes it exactly as it was read.
            unchanged_format = pc.equal(pc.strftime(_shifted_back(shifted, days), self.parameters.format), values)
            outside |= np.asarray(values.is_valid()) & ~np.asarray(pc.fill_null(unchanged_format, False))
        elif pa.types.is_date(values.type):
            result, outside = self._shifted(values.cast(pa.date32()), days, 1)
        else:
            result, outside = self._shifted(values.cast(pa.timestamp("us", values.type.tz)), days, DAY)
        bad |= outside & np.asarray(values.is_valid())
        result = pc.if_else(pa.array(bad), pa.scalar(None, result.type), result) if bad.any() else result
        return result.cast(values.type), bad if bad.any() else None

    def _days(self, entities: pa.Array) -> Made:
        """Return the shift of every entity in days; null where the entity is null."""
        import numpy as np
        import pyarrow as pa

        most = self.parameters.days
        days = (words(macs(self.secret, messages(entities))) % np.uint64(2 * most)).astype(np.int64) - most
        return pa.array(days + (days >= 0), mask=np.asarray(entities.is_null())), None

    @staticmethod
    def _shifted(values: pa.Array, days: Any, unit: int) -> Made:
        """Add days to values; returns the sums, and a boolean array of those outside of years 1 to 9999."""
        import numpy as np
        import pyarrow as pa

        width = pa.int64() if unit > 1 else pa.int32()
        number = np.asarray(values.view(width).fill_null(0)).astype(np.int64)
        outside = (number // unit + days < FIRST) | (number // unit + days > LAST)
        shifted = np.where(outside, 0, number + days * unit)
        return pa.array(shifted, mask=np.asarray(values.is_null())).cast(width).view(values.type), outside


def _shifted_back(shifted: pa.Array, days: Any) -> pa.Array:
    """Subtract days from timestamps; the inverse of a shift."""
    import numpy as np
    import pyarrow as pa

    number = np.asarray(shifted.view(pa.int64()).fill_null(0)) - days * DAY
    return pa.array(number, mask=np.asarray(shifted.is_null())).view(pa.timestamp("us")).cast(pa.timestamp("s"))
