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
from typing import TYPE_CHECKING

from dataward.quality.engines.codes import BLOCKS, COUNTS, LONG_BATCHES, counting, packing
from dataward.quality.engines.groups import Counts, Grouping, counted_code, groupings, own_code
from dataward.quality.engines.numbers import state, value
from dataward.quality.engines.scan import aggregated
from dataward.quality.metrics import GROUPED, Metric, Values, measurable
from dataward.spark.sql import column, identifier
from dataward.spark.workers import settled
from dataward.tables.maintenance import settings
from dataward.tables.reason import reason

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["exactly", "measure"]

TASK = 8_000_000  # codes that come to one task: 64 MB
BUCKET = 1 << 15  # codes of one set that are sorted together: few enough for a processor's cache
BUCKETS = 256  # more would make blocks of a few codes


def measure(frame: DataFrame, metrics: Iterable[Metric], plain: DataFrame | None = None) -> Values:
    """Measure every metric once: one job for the scan, one for the stacked shuffle.

    ``plain``: the same rows without what is joined to them for predicates alone; keys are counted on these.
    """
    types = {field.name.lower(): field.dataType.typeName() for field in frame.schema.fields}
    wanted, failures = measurable(metrics, types)
    sets = groupings(wanted)
    known = _of_columns_that_are_there(wanted, sets)
    scanned = [metric for metric in wanted if metric.kind not in GROUPED and metric not in known]
    values = _scan(frame, scanned) if scanned else Values({})
    if sets:
        hashed = [grouping for grouping in sets if not own_code(grouping, types)]
        of_sets = [metric for metric in wanted if metric.kind in GROUPED]
        rows, keyed = values.get(Metric("size")) or 0, frame if plain is None else plain
        of_keys, counts = _counted(_stacked(keyed, sets, types, rows), of_sets, sets, hashed)
        there = {metric: counts[grouping].rows for metric, grouping in known.items()} if counts else {}
        shares = {metric: value(metric, (count, rows)) for metric, count in there.items() if metric.kind != "size"}
        values = _joined(values, of_keys)
        values = _joined(values, Values({**there, **shares} if Metric("size") in values else {}))
    if left := [metric for metric in known if metric not in values]:  # the keys could not be counted
        values = _joined(values, _scan(frame, left))
    return Values(values, {**failures, **values.failures}, values.ranges)


def _of_columns_that_are_there(metrics: list[Metric], sets: list[Grouping]) -> dict[Metric, Grouping]:
    """Metrics that count the rows in which a column is not null, where its keys are counted anyway: no need to scan for them."""
    there = {
        f"({identifier(grouping.columns[0])} is not null)": grouping
        for grouping in sets
        if len(grouping.columns) == 1 and grouping.where is None
    }
    found = {}
    for metric in metrics:
        asked = {
            "size": metric.where,
            "completeness": f"({identifier(metric.columns[0])} is not null)" if metric.columns else None,
            "compliance": None if metric.negated else metric.predicate,
        }.get(metric.kind)
        if asked in there and (metric.kind == "size" or metric.where is None):
            found[metric] = there[str(asked)]
    return found


def exactly(frame: DataFrame, metrics: Iterable[Metric]) -> Values:
    """Grouped metrics counted on the values themselves: one shuffle for each set of key columns."""

    wanted = list(metrics)
    found = Values({})
    for grouping in groupings(wanted):
        columns = (column(name).alias(f"k{n}") for n, name in enumerate(grouping.columns))
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
        found = _joined(found, _counted(counts, of_this, [grouping], hashed=())[0])
    return found


def _joined(left: Values, right: Values) -> Values:
    return Values({**left, **right}, {**left.failures, **right.failures}, {**left.ranges, **right.ranges})


# the scan


def _scan(frame: DataFrame, metrics: list[Metric]) -> Values:
    try:
        numbers = aggregated(frame, metrics)[None]
    except Exception as error:
        return Values({}, dict.fromkeys(metrics, f"the scan failed: {reason(error)}"))
    return Values({metric: value(metric, state(metric, numbers)) for metric in metrics})


# the shuffle


def _stacked(frame: DataFrame, sets: list[Grouping], types: dict[str, str], rows: float) -> DataFrame:
    """The columns of :data:`COUNTS`, a few rows for each set of keys."""
    salt = repr(
        secrets.token_hex(8)
    )  # a text stays out of the code that Spark generates, which is compiled once for all salts
    coded = [f"{counted_code(grouping, types, salt)} as code{n}" for n, grouping in enumerate(sets)]
    tasks = min(max(1, math.ceil(rows * len(sets) / TASK)), 10_000)
    buckets = max(tasks, min(math.ceil(rows / BUCKET), BUCKETS))
    blocks = frame.selectExpr(*coded).mapInArrow(settled(packing(buckets)), BLOCKS)
    return blocks.repartition(tasks, "bucket").mapInArrow(settled(counting()), COUNTS)


def _counted(
    counts: DataFrame,
    metrics: list[Metric],
    sets: list[Grouping],
    hashed: Iterable[Grouping],
) -> tuple[Values, dict[Grouping, Counts]]:
    """Metrics from partial counts of keys (:data:`COUNTS`; ``grouping`` is the place in ``sets``), and what these came to."""
    try:
        with settings(counts.sparkSession, LONG_BATCHES):
            parts = counts.collect()
    except Exception as error:
        return Values({}, dict.fromkeys(metrics, f"the keys could not be grouped: {reason(error)}")), {}
    found = {sets[n]: Counts.total([row[1:] for row in parts if row[0] == n]) for n in range(len(sets))}
    of = {metric: found[Grouping.of(metric)] for metric in metrics}
    ranges = {metric: of[metric].range(metric) for metric in metrics if Grouping.of(metric) in hashed}
    known = {metric: range_ for metric, range_ in ranges.items() if range_}
    return Values({metric: count.value(metric) for metric, count in of.items()}, ranges=known), found
