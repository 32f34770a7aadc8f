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
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

from dataward.quality.engines.codes import BLOCKS, COUNTS, counting, packing
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
BUCKET = 8_000_000  # codes that are sorted together: 64 MB
# Of one plan. Beyond 100 columns Spark generates no code for the whole stage, and takes several times as long.
AGGREGATES = 90


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

    @classmethod
    def total(cls, parts: list[tuple[Any, ...]]) -> _Counts:
        """Of parts that share no key."""
        columns = list(zip(*parts, strict=True)) or [(0,)] * 5
        rows, keys, single, largest, weight = columns
        return cls(sum(rows), sum(keys), sum(single), max(largest), math.fsum(weight))

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
    scanned = [metric for metric in wanted if metric.kind not in GROUPED]
    values = _scan(frame, scanned) if scanned else Values({})
    sets = groupings(wanted)
    if sets:
        hashed = [grouping for grouping in sets if not _own_code(grouping, types)]
        of_sets = [metric for metric in wanted if metric.kind in GROUPED]
        rows = values.get(Metric("size")) or 0
        values = _joined(values, _counted(_stacked(frame, sets, types, rows), of_sets, sets, hashed))
    return Values(values, {**failures, **values.failures}, values.ranges)


def exactly(frame: DataFrame, metrics: Iterable[Metric]) -> Values:
    """Grouped metrics counted on the values themselves: one shuffle for each set of key columns."""
    wanted = list(metrics)
    found = Values({})
    for grouping in groupings(wanted):
        columns = map(identifier, grouping.columns)
        counted = frame.where(grouping.among()).groupBy(*columns).count()
        counts = counted.selectExpr(
            "0 as grouping",
            "coalesce(sum(count), 0)",
            "count(*)",
            "count_if(count = 1)",
            "coalesce(max(count), 0)",
            "coalesce(sum(count * ln(count)), 0d)",
        )
        of_this = [metric for metric in wanted if Grouping.of(metric) == grouping]
        found = _joined(found, _counted(counts, of_this, [grouping], hashed=()))
    return found


def _joined(left: Values, right: Values) -> Values:
    return Values({**left, **right}, {**left.failures, **right.failures}, {**left.ranges, **right.ranges})


# the scan


def _scan(frame: DataFrame, metrics: list[Metric]) -> Values:
    """All metrics in one job: one scan, or, of very many aggregates, one scan for every so many."""
    aggregates = {metric: _aggregates(metric) for metric in metrics}
    # Sorted, so that those of one column come together; each once.
    needed = sorted({sql for told in aggregates.values() for sql in told}, key=lambda sql: (sql.partition("`")[2], sql))
    parts = [needed[start : start + AGGREGATES] for start in range(0, len(needed), AGGREGATES)]
    try:
        rows = [frame.selectExpr(f"{n} as part", f"array({_doubles(part)}) as found") for n, part in enumerate(parts)]
        found = {row.part: row.found for row in reduce(lambda one, other: one.unionAll(other), rows).collect()}
    except Exception as error:
        return Values({}, dict.fromkeys(metrics, f"the scan failed: {reason(error)}"))
    values = {sql: value for n, part in enumerate(parts) for sql, value in zip(part, found[n], strict=True)}
    return Values({metric: _value(metric, [values[sql] for sql in told]) for metric, told in aggregates.items()})


def _doubles(aggregates: list[str]) -> str:
    return ", ".join(f"cast({sql} as double)" for sql in aggregates)


def _aggregates(metric: Metric) -> list[str]:
    """One aggregate, or numerator and denominator of a share."""
    where = f"coalesce({metric.where}, false)" if metric.where else None

    def among(value: str) -> str:
        return f"if({where}, {value}, null)" if where else value

    def count(predicate: str) -> str:
        return f"count(if({predicate}, 1, null))"  # count_if evaluates its predicate twice

    rows = count(where) if where else "count(*)"
    column = identifier(metric.columns[0]) if metric.columns else ""
    numbers = [among(f"cast({identifier(name)} as double)") for name in metric.columns]
    number, length = numbers[0] if numbers else "", among(f"length({column})")
    forms: dict[str, list[str]] = {
        "size": [rows],
        "completeness": [f"count({among(column)})", rows],
        "compliance": [count(among(str(metric.predicate))), rows],
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


def _value(metric: Metric, parts: list[float | None]) -> float | None:
    first, *rest = parts
    if not rest or first is None:
        return first
    rows = rest[0]
    share = first / rows if rows else None
    return 1 - share if share is not None and metric.negated else share


# the shuffle


def _stacked(frame: DataFrame, sets: list[Grouping], types: dict[str, str], rows: float) -> DataFrame:
    """The columns of :data:`COUNTS`, a few rows for each set of keys."""
    salt = secrets.randbits(62)
    coded = [f"{_counted_code(grouping, types, salt)} as code{n}" for n, grouping in enumerate(sets)]
    buckets = min(max(1, math.ceil(rows * len(sets) / BUCKET)), 10_000)
    blocks = frame.selectExpr(*coded).mapInArrow(packing(buckets), BLOCKS)
    return blocks.repartition(buckets, "bucket").mapInArrow(counting(), COUNTS)


def _counted_code(grouping: Grouping, types: dict[str, str], salt: int) -> str:
    """The code, null for a row that is not counted."""
    code = _code(grouping, types, salt)
    if not grouping.where and _own_code(grouping, types):
        return code  # null where its column is
    return f"if({grouping.among()}, {code}, null)"


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


@contextmanager
def _long_batches(frame: DataFrame) -> Iterator[None]:
    """Codes are narrow: many go into one Arrow batch."""
    conf, key = frame.sparkSession.conf, "spark.sql.execution.arrow.maxRecordsPerBatch"
    before = conf.get(key)
    conf.set(key, "100000")
    try:
        yield
    finally:
        conf.set(key, str(before))


def _counted(counts: DataFrame, metrics: list[Metric], sets: list[Grouping], hashed: Iterable[Grouping]) -> Values:
    """Metrics from partial counts of keys (:data:`COUNTS`; ``grouping`` is the place in ``sets``)."""
    try:
        with _long_batches(counts):
            parts = counts.collect()
    except Exception as error:
        return Values({}, dict.fromkeys(metrics, f"the keys could not be grouped: {reason(error)}"))
    found = {sets[n]: _Counts.total([row[1:] for row in parts if row[0] == n]) for n in range(len(sets))}
    of = {metric: found[Grouping.of(metric)] for metric in metrics}
    ranges = {metric: of[metric].range(metric) for metric in metrics if Grouping.of(metric) in hashed}
    known = {metric: range_ for metric, range_ in ranges.items() if range_}
    return Values({metric: count.value(metric) for metric, count in of.items()}, ranges=known)
