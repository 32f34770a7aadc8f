"""Compare columns with literals exactly, with one rule per type of column.

==================  ======================================================================================================
column              comparison with a literal
==================  ======================================================================================================
whole, decimal      as an exact number of any size: ``decimal(38,18) < 1e20`` holds for every row
float, double       as the nearest number of the column's own type: 0.1 is found in a float column; NaN is the largest number
text, number        the text is read as a decimal number and compared exactly, to at least 37 - n digits after the point, n
                    being the digits that the literal has before it
text, ``now()``     the text is read as a timestamp
date, timestamp     a text literal is a date or a timestamp (``"2026-01-31"`` is its midnight, UTC); a date is compared with
                    a timestamp as its midnight
boolean             ``"true"`` and ``"false"``, 1 and 0
==================  ======================================================================================================

Text that is not a number (or a timestamp) fails, even where the comparison is negated. A literal without a meaning for a
column's type, such as ``"abc"`` for whole numbers, is refused by name (:class:`Incomparable`).
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import ROUND_FLOOR, Context, Decimal
from typing import TYPE_CHECKING, Literal

from dataward.spark.sql import identifier, literal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = [
    "Compared",
    "Incomparable",
    "Order",
    "Value",
    "as_moment",
    "equal",
    "ordered",
    "paired",
    "paired_columns",
    "unreadable",
]

Order = Literal[">", ">=", "<", "<="]
Compared = Decimal | str | datetime
"""A literal: a number, a text, or a moment (UTC, without a zone)."""

NUMBER = r"^\s*[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,3})?\s*$"
"""Regular expression (Java and Python) for a text that is a number."""
WHOLE = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64}
SUFFIXES = {"tinyint": "Y", "smallint": "S", "int": "", "bigint": "L"}
FLOATS = ("float", "double")
TIMES = ("date", "timestamp", "timestamp_ntz")
NOT_FINITE = ("nan", "infinity", "-infinity")
MOMENT = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d)?)?")
MOST = 37
"""Digits of a number to compare with text, before and after the point: one of a decimal's 38 is reserved for larger values."""
EXACT = Context(prec=2000)


class Incomparable(ValueError):
    """A literal has no meaning for a column of its type."""

    def __init__(self, what: str, remedy: str) -> None:
        """Create an error with the problem and the remedy."""
        self.what, self.remedy = what, remedy
        super().__init__(what)


@dataclass(frozen=True)
class Value:
    """SQL of a value to compare, and its simple type; "" if unknown: then Spark's own comparison applies."""

    sql: str
    kind: str = ""

    @property
    def is_text(self) -> bool:
        """Whether the value is a string."""
        return self.kind.startswith(("string", "varchar", "char"))

    @property
    def is_exact(self) -> bool:
        """Whether the value is an integer or a decimal."""
        return self.kind in WHOLE or self.kind.startswith("decimal")


@dataclass(frozen=True)
class _Placed:
    """A literal converted to the column's own type.

    ``left``: SQL of the column. ``right``: SQL of the literal, or of the last value below it if ``exact`` is false; None
    where the literal is ``beyond`` all values of the type: above (1) or below (-1). ``among``: SQL of the comparable
    values; "" for all that are not null.
    """

    left: str
    right: str | None
    exact: bool = True
    beyond: int = 0
    among: str = ""


def equal(value: Value, literals: Sequence[Compared]) -> str:
    """Return SQL that is true where the value equals one of the literals, else false or null.

    Raises:
        Incomparable: a literal cannot be compared with the value's type.
    """
    rights: dict[str, list[str]] = {}
    for one in literals:
        placed = _placed(value, one)
        if placed.exact and placed.right is not None:
            left = f"{placed.among} and {placed.left}" if placed.among else placed.left
            rights.setdefault(left, []).append(placed.right)
    return " or ".join(f"{left} in ({', '.join(some)})" for left, some in rights.items()) or "false"


def ordered(value: Value, operator: Order, one: Compared) -> str:
    """Return SQL that is true where the comparison of the value with the literal holds, else false or null.

    Raises:
        Incomparable: the literal cannot be compared with the value's type.
    """
    placed = _placed(value, one)
    up = operator[0] == ">"
    if placed.right is None:
        return f"{value.sql} is not null" if up == (placed.beyond < 0) else "false"
    # The type has no values between the last value below and the literal.
    sign = operator if placed.exact else ">" if up else "<="
    test = f"{placed.left} {sign} {placed.right}"
    if placed.among and isinstance(one, Decimal):
        # A text with too many digits before the point: among doubles its order is the same.
        return f"if({placed.among}, coalesce({test}, try_cast({value.sql} as double) {operator} {_double(one)}), null)"
    return test


def unreadable(value: Value, literals: Iterable[Compared]) -> str | None:
    """Return SQL, never null, that is true for texts that are not a number or timestamp although a literal is; None if not needed."""
    kinds = {type(one) for one in literals} if value.is_text else set()
    tests = [f"not {_number(value)}"] if Decimal in kinds else []
    tests += [f"try_cast({value.sql} as timestamp) is null"] if datetime in kinds else []
    return f"({value.sql} is not null and ({' or '.join(tests)}))" if tests else None


def paired(here: Value, there: Value) -> tuple[str, str]:
    """Return SQL of two values in a common type, equal exactly where the values are; null for a text that does not fit the other type.

    Numbers become decimals that hold both, and a float becomes the decimal of its text; text beside numbers is read as a
    number to 38 digits ('02' and '2.0' are 2), beside dates and timestamps as a timestamp; a date is its midnight.

    Raises:
        Incomparable: the types have no common type.
    """
    kinds = {here.kind, there.kind}
    if len(kinds) == 1 or (here.is_text and there.is_text):
        return here.sql, there.sql
    if kinds <= set(FLOATS) or (kinds & set(FLOATS) and (here.is_text or there.is_text)):
        return _as_double(here), _as_double(there)
    sides = (here, there)
    if all(one.is_exact or one.is_text or one.kind in FLOATS for one in sides):
        loose = [not one.is_exact for one in sides]
        known = [_room(one.kind) for one in sides if one.is_exact]
        before = max(room[0] for room in known)
        after = 38 - before if any(loose) else max(room[1] for room in known)
        if before + after <= 38 and after >= max(room[1] for room in known):
            kind = f"decimal({before + after},{after})"
            return _as_decimal(here, kind), _as_decimal(there, kind)
    if all(one.is_text or one.kind in TIMES for one in sides):
        first, second = (f"try_cast({one.sql} as timestamp)" for one in sides)
        return first, second
    what = (
        f"{here.sql} ({here.kind}) and {there.sql} ({there.kind}) have no type in which they could be compared exactly"
    )
    raise Incomparable(what, "bring one of the two to the other's type")


def paired_columns(
    here: DataFrame, columns: Iterable[str], there: DataFrame, others: Iterable[str]
) -> list[tuple[str, str]]:
    """Apply :func:`paired` to columns of two frames, one by one.

    Raises:
        Incomparable: two columns have no common type.
    """
    kinds = [{name.lower(): kind for name, kind in frame.dtypes} for frame in (here, there)]
    return [
        paired(Value(identifier(one), kinds[0][one.lower()]), Value(identifier(other), kinds[1][other.lower()]))
        for one, other in zip(columns, others, strict=True)
    ]


def _as_double(value: Value) -> str:
    if value.is_text:
        return f"if({_number(value)}, try_cast({value.sql} as double), null)"
    return value.sql if value.kind == "double" else f"cast(cast({value.sql} as string) as double)"


def _as_decimal(value: Value, kind: str) -> str:
    if value.is_exact:
        return f"cast({value.sql} as {kind})"
    text = value if value.is_text else Value(f"cast({value.sql} as string)", "string")
    return f"if({_number(text)}, try_cast({text.sql} as {kind}), null)"


def _room(kind: str) -> tuple[int, int]:
    """Return the digits before and after the point of a whole number or decimal type."""
    if kind in WHOLE:
        return len(str(2 ** (WHOLE[kind] - 1))), 0
    precision, scale = map(int, re.findall(r"\d+", kind))
    return precision - scale, scale


def _number_of(one: Compared | str) -> Decimal | None:
    """Return a number, also from a text that is one; else None."""
    if isinstance(one, str):
        return Decimal(one.strip()) if re.match(NUMBER, one, re.ASCII) else None
    return one if isinstance(one, Decimal) else None


def as_moment(text: str) -> tuple[datetime, bool] | None:
    """Return the date or timestamp (UTC, without a zone) of a text, and whether it is a date; None for another text."""
    if not MOMENT.fullmatch(text.strip()):
        return None
    day, clock = text.strip()[:10], text.strip()[11:]
    clock, zone = re.sub(r"(Z|[+-]\d\d:\d\d)$", "", clock), re.search(r"(Z|[+-]\d\d:\d\d)$", clock)
    time, _, fraction = clock.partition(".")
    time = time if time.count(":") == 2 else f"{time}:00" if time else "00:00:00"
    offset = "+00:00" if not zone or zone[0] == "Z" else zone[0]
    try:
        found = datetime.fromisoformat(f"{day}T{time}.{fraction:0<6}{offset}").astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None
    return found.replace(tzinfo=None), not clock


def _digits(number: Decimal) -> tuple[int, int]:
    """Return the number of digits before the point (at least 1) and after it."""
    places = max(-int(number.normalize(EXACT).as_tuple().exponent), 0) if number else 0
    return max(number.adjusted() + 1, 1), places


def _placed(value: Value, one: Compared) -> _Placed:
    number = _number_of(one)
    if isinstance(one, datetime):
        return _moment(value, one, False)
    if value.is_text:
        return _of_text(value, one)
    if value.is_exact or value.kind in FLOATS:
        if number is not None:
            return _exact(value, number) if value.is_exact else _float(value, number)
        if value.kind in FLOATS and str(one).lower() in NOT_FINITE:
            return _Placed(value.sql, f"cast({literal(str(one))} as {value.kind})")
        raise _incomparable(value, one, "a number")
    if value.kind in TIMES:
        found = as_moment(str(one)) if isinstance(one, str) else None
        if found is None:
            raise _incomparable(value, one, 'a date or timestamp such as "2026-01-31" or "2026-01-31 12:00:00"')
        return _moment(value, *found)
    if value.kind == "boolean":
        truth = {"true": "true", "false": "false", "1": "true", "0": "false"}.get(str(one).strip().lower())
        if truth is None:
            raise _incomparable(value, one, '"true" or "false"')
        return _Placed(value.sql, truth)
    return _Placed(value.sql, format(one, "f") if isinstance(one, Decimal) else literal(one))


def _incomparable(value: Value, one: Compared, wanted: str) -> Incomparable:
    shown = "now()" if isinstance(one, datetime) else f"'{one}'" if isinstance(one, str) else f"{one:f}"
    return Incomparable(
        f"column {value.sql} is {value.kind}: it is not compared with {shown}", f"compare it with {wanted}"
    )


def _exact(value: Value, number: Decimal) -> _Placed:
    """Return the comparison with whole numbers and decimals: with the number itself, or with the last number of the type below it."""
    if value.kind in WHOLE:
        scale, low = 0, Decimal(-(2 ** (WHOLE[value.kind] - 1)))
        high = -low - 1
    else:
        before, scale = _room(value.kind)
        high = Decimal(10 ** (before + scale) - 1).scaleb(-scale, EXACT)
        low = high.copy_negate()
    if number > high or number < low:
        return _Placed(value.sql, None, False, 1 if number > high else -1)
    below = number.quantize(Decimal(1).scaleb(-scale), ROUND_FLOOR, EXACT)
    suffix = SUFFIXES.get(value.kind)
    right = f"cast('{below:f}' as {value.kind})" if suffix is None else f"{below:f}{suffix}"
    return _Placed(value.sql, right, below == number)


def _float(value: Value, number: Decimal) -> _Placed:
    largest = 3.4028234663852886e38 if value.kind == "float" else 1.7976931348623157e308
    nearest = _rounded(number, value.kind)
    if math.isinf(nearest):
        return _Placed(value.sql, f"cast('{largest if nearest > 0 else -math.inf}' as {value.kind})", False)
    return _Placed(value.sql, f"cast('{number:f}' as {value.kind})")


def _rounded(number: Decimal, kind: str) -> float:
    try:
        return float(struct.unpack("f", struct.pack("f", float(number)))[0]) if kind == "float" else float(number)
    except OverflowError:
        return math.copysign(math.inf, number)


def _double(number: Decimal) -> str:
    return f"cast('{number:f}' as double)"


def _number(value: Value) -> str:
    """Return SQL of whether a text is a number; null for null."""
    return f"({value.sql} rlike {literal(NUMBER)})"


def _of_text(value: Value, one: Decimal | str) -> _Placed:
    if isinstance(one, str):
        return _Placed(value.sql, literal(one))
    before, after = _digits(one)
    scale = MOST - before
    if scale < after:
        raise Incomparable(
            f"column {value.sql} is text, and a number of more than {MOST} digits cannot be compared with text exactly",
            "give the column's type in source.schema, or write fewer digits",
        )
    kind = f"decimal(38,{scale})"
    return _Placed(f"try_cast({value.sql} as {kind})", f"cast('{one:f}' as {kind})", among=_number(value))


def _moment(value: Value, moment: datetime, is_date: bool) -> _Placed:
    if value.kind == "date" and is_date:
        return _Placed(value.sql, f"date'{moment.date().isoformat()}'")
    shown = moment.isoformat(sep=" ")
    if value.kind == "date":
        return _Placed(f"cast({value.sql} as timestamp)", f"timestamp'{shown}'")
    if value.is_text:
        return _Placed(f"try_cast({value.sql} as timestamp)", f"timestamp'{shown}'")
    if value.kind and value.kind not in TIMES:
        raise _incomparable(value, moment, "its own kind of value")
    return _Placed(value.sql, f"{value.kind or 'timestamp'}'{shown}'")
