"""Rules that a profile suggests. Of columns that look sensitive none names a value.

Bounds leave room: a tenth of the range beyond its ends, four standard errors and two hundredths below a share, a quarter of a
standard deviation around a mean. Where some values lie far out (beyond Tukey's outer fences, which follow the skew), the range is
that of the percentiles within the fences, with a threshold: values such as 999999 or 9999-12-31 draw no bounds. What is too tight all
the same is found by trying it on rows it was not drawn from.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from dataward.profiling.column import EPOCH, ColumnProfile
from dataward.quality.conditions import quoted
from dataward.quality.metrics import WHOLE
from dataward.quality.spread import fences
from dataward.spark.sql import identifier

__all__ = ["CATEGORIES", "Candidate", "candidates"]

CATEGORIES = 30  # different texts of a column beyond which they are no categories
ENOUGH = 100  # rows from which a mean tells something
ALMOST = 0.95  # of the values occur once: a key with some duplicates
FAR = 3.0  # Tukey's factor of what is far out
FEW = 0.05  # of the values at most: more are no exceptions
TOGETHER = 8  # columns that may be a key together
LINKED = 0.9  # a correlation that is expected to stay
TYPES = {"integer": "Long", "number": "Double", "date": "Date", "timestamp": "Timestamp", "boolean": "Boolean"}


@dataclass(frozen=True)
class Candidate:
    """A rule as DQDL, and the facts of the profile that suggest it."""

    rule: str
    why: str


def candidates(
    columns: Sequence[ColumnProfile], correlated: Iterable[tuple[str, str, float]], rows: int
) -> list[Candidate]:
    """Return rules in the order of the columns; ``correlated`` are pairs with their coefficient, ``rows`` those of the whole table."""
    found = [Candidate(f"RowCount >= {max(rows // 2, 1)}", f"half of the {rows:,} rows that are there")]
    keys = [column for column in columns if column.key]
    if not keys:
        found += _together(columns)
    for column in columns:
        found += _of_column(column, column is (keys[0] if keys else None))
    for one, other, value in correlated:
        if abs(value) >= LINKED:
            bound = f"> {value - 0.1:.2f}" if value > 0 else f"< {value + 0.1:.2f}"
            rule = f"ColumnCorrelation {quoted(one)} {quoted(other)} {bound}"
            found.append(Candidate(rule, f"the correlation is {value:+.2f}"))
    return found


def _together(columns: Sequence[ColumnProfile]) -> Iterator[Candidate]:
    """Yield the columns that together identify rows best, where no single column does."""
    complete = [column for column in columns if not column.missing and column.distinct > 1 and _plain(column)]
    telling = sorted(complete, key=lambda column: -column.distinct)[:TOGETHER]
    if len(telling) > 1:
        names = " ".join(quoted(column.name) for column in telling)
        yield Candidate(f"IsUnique {names}", "no column is a key alone")


def _plain(column: ColumnProfile) -> bool:
    return "." not in column.name and "<" not in column.type


def _of_column(column: ColumnProfile, first_key: bool) -> Iterator[Candidate]:
    name, known = quoted(column.name), column.rows - column.missing
    if not _plain(column) or not known:
        return
    where = f' where "{identifier(column.name)} is not null"' if column.missing else ""
    yield from _of_keys(column, name, first_key)
    if not column.missing and not first_key:
        yield Candidate(f"IsComplete {name}", "no value is missing")
    elif column.missing and (share := column.completeness) and share > 0.5:
        yield Candidate(f"Completeness {name} > {_below(share, column.rows):.2f}", f"{share:.1%} are there")
    if column.quantiles:
        yield from _of_numbers(column, name, where)
    elif (
        column.whole
        and column.type == "string"
        and len(column.frequent) <= CATEGORIES
        and known >= 20 * column.distinct
    ):
        values = ", ".join(quoted(one.value) for one in sorted(column.frequent, key=lambda one: one.value))
        yield Candidate(f"ColumnValues {name} in [{values}]{where}", f"{len(column.frequent)} categories")
    if column.inferred and column.inferred_share == 1 and not column.sensitive:
        yield Candidate(f'ColumnDataType {name} = "{TYPES[column.inferred]}"', f"every text is {_a(column.inferred)}")
    if column.lengths and column.type == "string" and column.lengths.low == column.lengths.high:
        yield Candidate(f"ColumnLength {name} = {column.lengths.low}{where}", "every text is as long")
    elif column.lengths and column.type == "string":
        yield Candidate(f"ColumnLength {name} <= {2 * column.lengths.high}", f"the longest has {column.lengths.high}")


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _of_keys(column: ColumnProfile, name: str, first_key: bool) -> Iterator[Candidate]:
    if column.key:
        yield Candidate(f"{'IsPrimaryKey' if first_key else 'IsUnique'} {name}", "every value occurs once")
    elif column.unique is not None and ALMOST <= column.unique < 1 and column.type in ("string", *WHOLE):
        # No IsUnique with a threshold: it would divert rows that share a value, such as two people of one postcode.
        why = f"{column.unique:.2%} of the values occur once"
        yield Candidate(f"Uniqueness {name} > {_below(column.unique, column.rows):.2f}", why)


def _below(share: float, rows: int) -> float:
    """Return a bound four standard errors and two hundredths below a share."""
    return share - 4 * math.sqrt(share * (1 - share) / rows) - 0.02


def _within(column: ColumnProfile) -> tuple[float, float, float]:
    """Return (low, high, share): the range for bounds, and the largest share of values outside of it."""
    points = column.quantiles
    found = fences(points, "iqr", FAR, skewed=True)
    inside = [point for point in points if found is None or found[0] <= point <= found[1]]
    outside = (len(points) - len(inside)) / (len(points) - 1)
    return (inside[0], inside[-1], outside) if outside <= FEW else (points[0], points[-1], 0.0)


def _of_numbers(column: ColumnProfile, name: str, where: str) -> Iterator[Candidate]:
    least, most, outside = _within(column)
    room = max((most - least) / 10, 1.0 if column.type in WHOLE else abs(most) / 100)
    if column.of_time:
        room = max(room, 86400.0)
        low, high = quoted(_day(least - room)), quoted(_day(most + room))
    else:
        signed = least < 0  # what is never negative stays so
        low = _number(least - room if signed else max(least - room, -1.0), ROUND_FLOOR)
        high = _number(most + room, ROUND_CEILING)
    why = f"{column.written(least)} to {column.written(most)}, and some room"
    threshold = ""
    if outside:
        threshold = f" with threshold > {_below(1 - outside, column.rows - column.missing):.2f}"
        why += f"; up to {outside:.0%} of the values lie far out and are diverted"
    yield Candidate(f"ColumnValues {name} between {low} and {high}{where}{threshold}", why)
    deviation, mean = column.deviation or 0.0, column.mean or 0.0
    if not column.of_time and deviation > 0 and column.rows - column.missing >= ENOUGH:
        low, high = _number(mean - deviation / 4, ROUND_FLOOR), _number(mean + deviation / 4, ROUND_CEILING)
        yield Candidate(f"Mean {name} between {low} and {high}", f"the mean is {mean:,.4g}")


def _day(seconds: float) -> str:
    """Return a day as DQDL writes it; the calendar's first or last where there is none."""
    ordinal = EPOCH.toordinal() + int(seconds // 86400)
    return date.fromordinal(min(max(ordinal, 1), date.max.toordinal())).isoformat()


def _number(value: float, rounding: str) -> str:
    """Return a number as DQDL writes it, with at least three digits, rounded outwards."""
    number = Decimal(repr(float(value)))
    places = max(2 - number.adjusted(), 0) if number else 0
    return format(number.quantize(Decimal(1).scaleb(-places), rounding=rounding).normalize(), "f")
