"""``generalize``: values made coarser: buckets of numbers, prefixes of texts, parts of dates, levels of a hierarchy.

Protects against: singling a person out by an exact value, when the buckets hold enough people (k-anonymity says
whether they do). Does not protect against: rare buckets, and what all in a bucket have in common.

Numbers and dates keep their type; ``bounds`` and ``hierarchy`` give text. A text no longer than the prefix, a value
that the hierarchy does not list and a number that is not finite are invalid: none is passed through.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Context, Decimal
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataward.contract.protections import Generalize
from dataward.privacy.protect.operator import Made, Operator, Rows, Unfit
from dataward.privacy.protect.texts import texts, unreadable, without

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["GeneralizeOperator"]


@dataclass(frozen=True)
class GeneralizeOperator(Operator):
    parameters: Generalize

    @property
    def needs(self) -> str:
        given = self.parameters
        if given.prefix:
            return f"text longer than {given.prefix} characters"
        return f"listed in {given.hierarchy}" if given.hierarchy else "a finite number" if not given.part else "a date"

    def output(self, kind: pa.DataType) -> pa.DataType:
        import pyarrow as pa

        given = self.parameters
        number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        if (given.width or given.bounds) and not number:
            raise Unfit(f"generalize by width or bounds cannot protect {kind}", "use prefix, part or hierarchy")
        if pa.types.is_integer(kind) and isinstance(given.width, float) and not given.width.is_integer():
            raise Unfit("integers need a whole 'width'", "round it")
        if given.prefix and not pa.types.is_string(kind):
            raise Unfit(f"generalize by prefix cannot protect {kind}", "use width, part or hierarchy")
        if given.part and not (pa.types.is_date(kind) or pa.types.is_timestamp(kind)):
            raise Unfit(f"generalize by part cannot protect {kind}", "use width, prefix or hierarchy")
        if given.part in ("hour", "day") and pa.types.is_date(kind):
            raise Unfit(f"a date is no finer than a {given.part}", "use week, month, quarter, year or decade")
        if given.hierarchy:
            self._read_on_the_driver()
        return pa.string() if given.bounds or given.hierarchy else kind

    def _read_on_the_driver(self) -> None:
        """The hierarchy travels with the operator: workers need not see its file."""
        file = self.parameters.hierarchy
        try:
            if not self._hierarchy:
                raise Unfit(
                    f"{file} has no level {self.parameters.level}", "it is a CSV: a value, then its coarser forms"
                )
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise Unfit(f"{file} cannot be read ({type(error).__name__})", "name a UTF-8 CSV file") from None

    def apply(self, values: pa.Array, rows: Rows) -> Made:
        given = self.parameters
        if given.part:
            return self._start_of_part(values), None
        if given.prefix:
            return self._prefix(values, given.prefix)
        if given.hierarchy:
            return self._listed(values)
        return self._interval(values) if given.bounds else self._multiple(values)

    def _start_of_part(self, values: pa.Array) -> pa.Array:
        import pyarrow as pa
        import pyarrow.compute as pc

        zone = values.type.tz if pa.types.is_timestamp(values.type) else None
        plain = values.cast(pa.timestamp("us", zone)).cast(pa.timestamp("us"))  # UTC: a session's zone must not count
        many, unit = (10, "year") if self.parameters.part == "decade" else (1, self.parameters.part)
        floor = pc.floor_temporal(plain, multiple=many, unit=unit, calendar_based_origin=False)
        return floor.view(pa.timestamp("us", zone)) if zone else floor.cast(values.type)

    def _prefix(self, values: pa.Array, length: int) -> Made:
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        bad = unreadable(values)
        values = without(values, bad)
        short = np.asarray(pc.fill_null(pc.less_equal(pc.utf8_length(values), length), False))
        bad = short if bad is None else bad | short
        made = pc.utf8_slice_codeunits(values, 0, length)
        return pc.if_else(pa.array(bad), pa.scalar(None, pa.string()), made), bad if bad.any() else None

    def _listed(self, values: pa.Array) -> Made:
        import numpy as np
        import pyarrow as pa

        given = [
            None if text is None else text.decode("utf-8", "replace")
            for text in texts(values).cast(pa.binary()).to_pylist()
        ]
        made = pa.array([None if text is None else self._hierarchy.get(text) for text in given], pa.string())
        bad = np.asarray(made.is_null()) & np.asarray(values.is_valid())
        return made, bad if bad.any() else None

    @cached_property
    def _hierarchy(self) -> dict[str, str]:
        with Path(str(self.parameters.hierarchy)).open(encoding="utf-8", newline="") as lines:
            return {row[0]: row[self.parameters.level] for row in csv.reader(lines) if len(row) > self.parameters.level}

    def _interval(self, values: pa.Array) -> Made:
        import numpy as np
        import pyarrow as pa

        bounds = [float(bound) for bound in self.parameters.bounds]
        shown = [f"{bound:g}" for bound in bounds]
        labels = [f"<{shown[0]}", *(f"[{a},{b})" for a, b in pairwise(shown)), f">={shown[-1]}"]
        number = np.asarray(values.cast(pa.float64(), safe=False).fill_null(0))
        bad = ~np.isfinite(number) & np.asarray(values.is_valid())
        place = pa.array(np.searchsorted(bounds, number, side="right"), mask=np.asarray(values.is_null()) | bad)
        return pa.array(labels).take(place), bad if bad.any() else None

    def _multiple(self, values: pa.Array) -> Made:
        import numpy as np
        import pyarrow as pa

        width, kind, empty = self.parameters.width, values.type, np.asarray(values.is_null())
        assert width is not None  # noqa: S101 - the model lets one way be given
        if pa.types.is_decimal(kind):
            exact, step, unit = Context(prec=80), Decimal(str(width)), Decimal(1).scaleb(-kind.scale)
            made = [
                None if v is None
                else exact.quantize(exact.multiply(exact.divide(v, step).to_integral_value(ROUND_FLOOR), step), unit)
                for v in values.to_pylist()
            ]  # fmt: skip
            most = Decimal(10) ** (kind.precision - kind.scale)
            bad = np.array([v is not None and abs(v) >= most for v in made], bool)
            return pa.array(
                [None if b else v for v, b in zip(made, bad, strict=True)], kind
            ), bad if bad.any() else None
        number: Any = np.asarray(values.fill_null(0))
        if pa.types.is_integer(kind):
            floor = number // int(width) * int(width)
            bad = (floor > number) & ~empty  # below the type's least number
        else:
            floor = np.floor(number / width) * width
            bad = ~np.isfinite(floor) & ~empty
        return pa.array(floor, kind, mask=empty | bad), bad if bad.any() else None
