"""``generalize``: coarser values: intervals of numbers, prefixes of texts, parts of dates, levels of a hierarchy.

Protects against: singling out a person by an exact value, if every generalised value holds for enough people (the rules about
k-anonymity measure it). Does not protect against: rare generalised values, and inference of what all rows of one have in common.

Numbers and dates keep their type; ``bounds`` and ``hierarchy`` yield text. A text that is no longer than the prefix, a value
that the hierarchy does not list, and a number that is not finite are invalid and never pass through.
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
    """Implementation of ``generalize``."""

    parameters: Generalize

    @property
    def needs(self) -> str:
        """Description of valid values, for messages."""
        parameters = self.parameters
        if parameters.prefix:
            return f"text longer than {parameters.prefix} characters"
        return (
            f"listed in {parameters.hierarchy}"
            if parameters.hierarchy
            else "a finite number"
            if not parameters.part
            else "a date"
        )

    def output(self, kind: pa.DataType) -> pa.DataType:
        """Return the output type, or raise Unfit."""
        import pyarrow as pa

        parameters = self.parameters
        number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        if (parameters.width or parameters.bounds) and not number:
            raise Unfit(f"generalize by width or bounds cannot protect {kind}", "use prefix, part or hierarchy")
        if pa.types.is_integer(kind) and isinstance(parameters.width, float) and not parameters.width.is_integer():
            raise Unfit("integers need a whole 'width'", "round it")
        if parameters.prefix and not pa.types.is_string(kind):
            raise Unfit(f"generalize by prefix cannot protect {kind}", "use width, part or hierarchy")
        if parameters.part and not (pa.types.is_date(kind) or pa.types.is_timestamp(kind)):
            raise Unfit(f"generalize by part cannot protect {kind}", "use width, prefix or hierarchy")
        if parameters.part in ("hour", "day") and pa.types.is_date(kind):
            raise Unfit(f"a date is no finer than a {parameters.part}", "use week, month, quarter, year or decade")
        if parameters.hierarchy:
            self._read_on_the_driver()
        return pa.string() if parameters.bounds or parameters.hierarchy else kind

    def _read_on_the_driver(self) -> None:
        """Read the hierarchy before the operator is sent to workers, which need no access to its file; raises Unfit."""
        file = self.parameters.hierarchy
        try:
            if not self._hierarchy:
                raise Unfit(
                    f"{file} has no level {self.parameters.level}", "it is a CSV: a value, then its coarser forms"
                )
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise Unfit(f"{file} cannot be read ({type(error).__name__})", "name a UTF-8 CSV file") from None

    def apply(self, values: pa.Array, rows: Rows) -> Made:
        """Protect an array of values."""
        parameters = self.parameters
        if parameters.part:
            return self._start_of_part(values), None
        if parameters.prefix:
            return self._prefix(values, parameters.prefix)
        if parameters.hierarchy:
            return self._listed(values)
        return self._interval(values) if parameters.bounds else self._multiple(values)

    def _start_of_part(self, values: pa.Array) -> pa.Array:
        """Return the start of the part of the calendar (in UTC) that each date or time is in."""
        import pyarrow as pa
        import pyarrow.compute as pc

        zone = values.type.tz if pa.types.is_timestamp(values.type) else None
        plain = values.cast(pa.timestamp("us", zone)).cast(
            pa.timestamp("us")
        )  # in UTC, independent of the session's zone
        multiple, unit = (10, "year") if self.parameters.part == "decade" else (1, self.parameters.part)
        floor = pc.floor_temporal(plain, multiple=multiple, unit=unit, calendar_based_origin=False)
        return floor.view(pa.timestamp("us", zone)) if zone else floor.cast(values.type)

    def _prefix(self, values: pa.Array, length: int) -> Made:
        """Return the first characters of texts that are longer."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        bad = unreadable(values)
        values = without(values, bad)
        short = np.asarray(pc.fill_null(pc.less_equal(pc.utf8_length(values), length), False))
        bad = short if bad is None else bad | short
        prefixes = pc.utf8_slice_codeunits(values, 0, length)
        return pc.if_else(pa.array(bad), pa.scalar(None, pa.string()), prefixes), bad if bad.any() else None

    def _listed(self, values: pa.Array) -> Made:
        """Return the values' entries in the hierarchy."""
        import numpy as np
        import pyarrow as pa

        keys = [
            None if text is None else text.decode("utf-8", "replace")
            for text in texts(values).cast(pa.binary()).to_pylist()
        ]
        generalized = pa.array([None if text is None else self._hierarchy.get(text) for text in keys], pa.string())
        bad = np.asarray(generalized.is_null()) & np.asarray(values.is_valid())
        return generalized, bad if bad.any() else None

    @cached_property
    def _hierarchy(self) -> dict[str, str]:
        """Return the entries of the contract's level by value, from the CSV file."""
        with Path(str(self.parameters.hierarchy)).open(encoding="utf-8", newline="") as lines:
            return {row[0]: row[self.parameters.level] for row in csv.reader(lines) if len(row) > self.parameters.level}

    def _interval(self, values: pa.Array) -> Made:
        """Return the label of the interval that each number is in."""
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
        """Round numbers down to a multiple of the width."""
        import numpy as np
        import pyarrow as pa

        width, kind, empty = self.parameters.width, values.type, np.asarray(values.is_null())
        assert width is not None  # noqa: S101 - the model requires exactly one way
        if pa.types.is_decimal(kind):
            exact, step, unit = Context(prec=80), Decimal(str(width)), Decimal(1).scaleb(-kind.scale)
            floors = [
                None if v is None
                else exact.quantize(exact.multiply(exact.divide(v, step).to_integral_value(ROUND_FLOOR), step), unit)
                for v in values.to_pylist()
            ]  # fmt: skip
            limit = Decimal(10) ** (kind.precision - kind.scale)
            bad = np.array([v is not None and abs(v) >= limit for v in floors], bool)
            return pa.array(
                [None if b else v for v, b in zip(floors, bad, strict=True)], kind
            ), bad if bad.any() else None
        number: Any = np.asarray(values.fill_null(0))
        if pa.types.is_integer(kind):
            floor = number // int(width) * int(width)
            bad = (floor > number) & ~empty  # overflow below the type's smallest number
        else:
            floor = np.floor(number / width) * width
            bad = ~np.isfinite(floor) & ~empty
        return pa.array(floor, kind, mask=empty | bad), bad if bad.any() else None
