"""``date_shift``: dates and timestamps moved by whole days, the same number for all that belongs to one entity.

Protects against: recognising a person by an exact date, while the days between a person's events, and the time of day,
stay right. Does not protect against: whoever knows one true date of the entity (it tells the shift, and so all other
dates), and season or year where ``days`` is small.

The shift is one of -days..-1, 1..days: HMAC-SHA-256 of the entity's text under the domain's key, its first 64 bits modulo
the number of shifts (never 0: no date stays). A value without an entity, or one that leaves the calendar, is invalid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from dataward.contract.protections import DateShift
from dataward.privacy.keys import Purpose
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
    parameters: DateShift
    purpose: ClassVar[Purpose | None] = "date_shift"

    @property
    def deterministic(self) -> bool:
        return False

    @property
    def needs(self) -> str:
        form = f" of the form {self.parameters.format}" if self.parameters.format else ""
        return f"a date{form} whose row has a '{self.parameters.by}', not at the calendar's ends"

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.parameters.by,)

    def output(self, kind: pa.DataType) -> pa.DataType:
        import pyarrow as pa

        if pa.types.is_string(kind) and self.parameters.format is None:
            raise Unfit("date_shift of text needs the dates' form", "give 'format', e.g. '%Y%m%d'")
        if not (pa.types.is_string(kind) or pa.types.is_date(kind) or pa.types.is_timestamp(kind)):
            raise Unfit(f"date_shift cannot protect {kind}", "it protects dates, timestamps, and text with a 'format'")
        return kind

    def apply(self, values: pa.Array, rows: Rows) -> Made:
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        shift, _ = by_distinct(texts(rows.column(self.parameters.by)).cast(pa.binary()), self._days)
        days = np.asarray(shift.fill_null(0)).astype(np.int64)
        bad = np.asarray(values.is_valid()) & np.asarray(shift.is_null())
        if pa.types.is_string(values.type):
            moved, late = self._moved(pc.strptime(values, self.parameters.format, "us", error_is_null=True), days, DAY)
            made = pc.strftime(moved.cast(pa.timestamp("s")), self.parameters.format)
            # Only what the form writes as it was read has been understood.
            same = pc.equal(pc.strftime(moved_back(moved, days), self.parameters.format), values)
            late |= np.asarray(values.is_valid()) & ~np.asarray(pc.fill_null(same, False))
        elif pa.types.is_date(values.type):
            made, late = self._moved(values.cast(pa.date32()), days, 1)
        else:
            made, late = self._moved(values.cast(pa.timestamp("us", values.type.tz)), days, DAY)
        bad |= late & np.asarray(values.is_valid())
        made = pc.if_else(pa.array(bad), pa.scalar(None, made.type), made) if bad.any() else made
        return made.cast(values.type), bad if bad.any() else None

    def _days(self, entities: pa.Array) -> Made:
        """The shift of every entity, in days; null where the entity is null."""
        import numpy as np
        import pyarrow as pa

        most = self.parameters.days
        days = (words(macs(self.secret, messages(entities))) % np.uint64(2 * most)).astype(np.int64) - most
        return pa.array(days + (days >= 0), mask=np.asarray(entities.is_null())), None

    @staticmethod
    def _moved(values: pa.Array, days: Any, unit: int) -> Made:
        """Values plus days, and which of them leave the calendar."""
        import numpy as np
        import pyarrow as pa

        width = pa.int64() if unit > 1 else pa.int32()
        number = np.asarray(values.view(width).fill_null(0)).astype(np.int64)
        late = (number // unit + days < FIRST) | (number // unit + days > LAST)
        moved = np.where(late, 0, number + days * unit)
        return pa.array(moved, mask=np.asarray(values.is_null())).cast(width).view(values.type), late


def moved_back(moved: pa.Array, days: Any) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    number = np.asarray(moved.view(pa.int64()).fill_null(0)) - days * DAY
    return pa.array(number, mask=np.asarray(moved.is_null())).view(pa.timestamp("us")).cast(pa.timestamp("s"))
