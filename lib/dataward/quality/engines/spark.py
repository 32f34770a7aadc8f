"""Engine ``spark``: DataFrames only, so it runs on Spark Connect too; the fewest passes over the data.

All row predicates and plain aggregates become columns of **one aggregation**: one scan. All uniqueness, distinctness
and entropy metrics become **one stacked shuffle**: every row gives one 64-bit code for each set of key columns, and
(set, code) is grouped once. Whole numbers, dates and timestamps are their own code; anything else is hashed (xxhash64
under a salt that is drawn for each run, so that no one can prepare values that collide).

Two different keys get one code with a chance of 2^-64. Of N keys, more than c such collisions happen with a chance of at
most (N^2 / 2^65)^(c+1) / (c+1)!; the smallest c for which that is below 2^-50 bounds how far a number can be off, and
:class:`Values` carries the range. Whoever judges asks for :func:`exactly` where a bound lies within the range.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.quality.metrics import GROUPED, Metric, Values, measurable
from dataward.sql import identifier
from dataward.tables.reason import reason

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["exactly", "groupings", "measure"]

# Types whose values are 64 bits or fewer, as SQL that gives these bits.
CODES = {
    "byte": "cast({} as bigint)",
    "short": "cast({} as bigint)",
    "integer": "cast({} as bigint)",
    "long": "{}",
    "date": "cast(unix_date({}) as bigint)",
    "timestamp": "unix_micros({})",
    "boolean": "cast({} as bigint)",
}
TOLERATED = 2.0**-50


@dataclass(frozen=True)
class Grouping:
    """Columns whose combinations are counted, among the rows that meet ``where``; wholly null ones are left out."""

    columns: tuple[str, ...]
    where: str | None

    @classmethod
    def of(cls, metric: Metric) -> Grouping:
        return cls(tuple(sorted(metric.columns)), metric.where)

    def among(self) -> str:
        some = " or ".join(f"{identifier(column)} is not null" for column in self.columns)
        return f"coalesce({self.where}, false) and ({some})" if self.where else f"({some})"


@dataclass(frozen=True)
class _Counts:
    """What grouping came to: rows, keys, keys that occur once, the largest count, sum of count * ln(count)."""

    rows: int
    keys: int
    single: int
    largest: int
    weight: float

    def value(self, metric: Metric, more_keys: int = 0, more_single: int = 0) -> float | None:
        keys, single = self.keys + more_keys, min(self.single + more_single, self.rows)
        if metric.kind == "distinct_count":
            return float(keys)
        if not self.rows:
            return None
        if metric.kind == "uniqueness":
            return single / self.rows
        if metric.kind == "unique_value_ratio":
            return single / keys
        # H = -sum(c/n * ln(c/n)) = ln(n) - sum(c * ln(c)) / n; one collision hides at most ln(2) of 2 * largest rows.
        hidden = more_keys * 2 * self.largest / self.rows * math.log(2)
        return max(math.log(self.rows) - self.weight / self.rows, 0.0) + hidden

    def range(self, metric: Metric) -> tuple[float, float] | None:
        slack = _collisions(self.keys)
        if not slack or not self.rows or self.single == self.rows:
            return None  # keys that all occur once are not two in one
        ends = [self.value(metric, slack, single) for single in (0, 2 * slack)] + [self.value(metric)]
        found = [end for end in ends if end is not None]
        return min(found), max(found)


def _collisions(keys: int) -> int:
    expected, chance, count = keys * keys / 2.0**65, 1.0, 0
    while (chance := chance * expected / (count + 1)) >= TOLERATED:
        count += 1
    return count


def groupings(metrics: Iterable[Metric]) -> list[Grouping]:
    """The sets of key columns that metrics need grouped; equal ones are grouped once."""
    return list(dict.fromkeys(Grouping.of(metric) for metric in metrics if metric.kind in GROUPED))


def measure(frame: DataFrame, metrics: Iterable[Metric]) -> Values:
    """Measure every metric once: one job for the scan, one for the stacked shuffle."""
    types = {field.name.lower(): field.dataType.typeName() for field in frame.schema.fields}
    wanted, failures = measurable(metrics, types)
    values = _scan(frame, [metric for metric in wanted if metric.kind not in GROUPED])
    sets = groupings(wanted)
    if sets:
        hashed = [grouping for grouping in sets if not _own_code(grouping, types)]
        of_sets = [metric for metric in wanted if metric.kind in GROUPED]
        values = _joined(values, _counted(_stacked(frame, sets, types), of_sets, sets, hashed))
    return Values(values, {**failures, **values.failures}, values.ranges)


def exactly(frame: DataFrame, metrics: Iterable[Metric]) -> Values:
    """Grouped metrics counted on the values themselves: one shuffle for each set of key columns."""
    wanted = list(metrics)
    found = Values({})
    for grouping in groupings(wanted):
        columns = map(identifier, grouping.columns)
        counts = frame.where(grouping.among()).groupBy(*columns).count().selectExpr("0 as grouping", "count")
        of_this = [metric for metric in wanted if Grouping.of(metric) == grouping]
        found = _joined(found, _counted(counts, of_this, [grouping], hashed=()))
    return found


def _joined(left: Values, right: Values) -> Values:
    return Values({**left, **right}, {**left.failures, **right.failures}, {**left.ranges, **right.ranges})


# the scan


def _scan(frame: DataFrame, metrics: list[Metric]) -> Values:
    if not metrics:
        return Values({})
    columns: dict[str, int] = {}  # aggregate as SQL -> its place; equal ones are computed once
    places = {metric: [columns.setdefault(sql, len(columns)) for sql in _aggregates(metric)] for metric in metrics}
    try:
        row = frame.selectExpr(*[f"{sql} as a{place}" for sql, place in columns.items()]).first()
    except Exception as error:
        return Values({}, dict.fromkeys(metrics, f"the scan failed: {reason(error)}"))
    assert row is not None  # noqa: S101 - an aggregation gives one row
    return Values({metric: _value([row[place] for place in places[metric]]) for metric in metrics})


def _aggregates(metric: Metric) -> list[str]:
    """One aggregate, or numerator and denominator of a share."""
    where = f"coalesce({metric.where}, false)" if metric.where else None

    def among(value: str) -> str:
        return f"if({where}, {value}, null)" if where else value

    rows = f"count_if({where})" if where else "count(*)"
    column = identifier(metric.columns[0]) if metric.columns else ""
    numbers = [among(f"cast({identifier(name)} as double)") for name in metric.columns]
    number, length = numbers[0] if numbers else "", among(f"length({column})")
    forms: dict[str, list[str]] = {
        "size": [rows],
        "completeness": [f"count({among(column)})", rows],
        "compliance": [f"count_if({among(str(metric.predicate))})", rows],
        "mean": [f"avg({number})"],
        "sum": [f"sum({number})"],
        "standard_deviation": [f"stddev_pop({number})"],
        "minimum": [f"min({number})"],
        "maximum": [f"max({number})"],
        "min_length": [f"min({length})"],
        "max_length": [f"max({length})"],
        "correlation": [f"corr({', '.join(numbers)})"],
    }
    return forms[metric.kind]


def _value(parts: list[Any]) -> float | None:
    if len(parts) == 2:
        return parts[0] / parts[1] if parts[1] else None
    return None if parts[0] is None else float(parts[0])


# the shuffle


def _stacked(frame: DataFrame, sets: list[Grouping], types: dict[str, str]) -> DataFrame:
    """Columns grouping (its number) and count, one row per key."""
    salt = secrets.randbits(62)
    codes = ", ".join(f"if({grouping.among()}, {_code(grouping, types, salt)}, null)" for grouping in sets)
    if len(sets) == 1:
        coded = frame.selectExpr("0 as grouping", f"{codes} as code")
    else:
        coded = frame.selectExpr(f"posexplode(array({codes})) as (grouping, code)")
    return coded.where("code is not null").groupBy("grouping", "code").count()


def _code(grouping: Grouping, types: dict[str, str], salt: int) -> str:
    if own := _own_code(grouping, types):
        return own
    # xxhash64 passes over nulls, so each column is preceded by whether it is one.
    parts = [part for column in grouping.columns for part in _hashed(column, types[column.lower()])]
    return f"xxhash64({salt}, {', '.join(parts)})"


def _own_code(grouping: Grouping, types: dict[str, str]) -> str | None:
    form = CODES.get(types[grouping.columns[0].lower()]) if len(grouping.columns) == 1 else None
    return form.format(identifier(grouping.columns[0])) if form else None


def _hashed(column: str, kind: str) -> tuple[str, str]:
    name = identifier(column)
    return f"{name} is null", f"to_json({name})" if kind in ("struct", "array", "map") else name


def _counted(counts: DataFrame, metrics: list[Metric], sets: list[Grouping], hashed: Iterable[Grouping]) -> Values:
    """Metrics from the counts of keys; ``counts`` has the columns grouping (place in ``sets``) and count."""
    from pyspark.sql import functions as F

    told = ("sum(count)", "count(*)", "count_if(count = 1)", "max(count)", "sum(count * ln(count))")
    try:
        rows = counts.groupBy("grouping").agg(*map(F.expr, told)).collect()
    except Exception as error:
        return Values({}, dict.fromkeys(metrics, f"the keys could not be grouped: {reason(error)}"))
    found = {sets[row[0]]: _Counts(*row[1:]) for row in rows}
    of = {metric: found.get(Grouping.of(metric), _Counts(0, 0, 0, 0, 0.0)) for metric in metrics}
    ranges = {metric: of[metric].range(metric) for metric in metrics if Grouping.of(metric) in hashed}
    known = {metric: range_ for metric, range_ in ranges.items() if range_}
    return Values({metric: count.value(metric) for metric, count in of.items()}, ranges=known)
