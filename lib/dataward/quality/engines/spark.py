"""Engine ``spark``: measure metrics by DataFrames (also on Spark Connect) in as few passes as possible.

All row predicates and plain aggregates are columns of **one aggregation**: one scan. All uniqueness, distinctness and entropy
metrics are **one stacked shuffle**: every row has one 64-bit code for each set of key columns, and (set, code) is grouped once.
Whole numbers, dates and timestamps are their own code; other values are hashed (xxhash64 under a random salt per run, so that
nobody can prepare colliding values).

Two distinct keys share a code with probability 2^-64. Among N keys, more than c such collisions have a probability of at most
(N^2 / 2^65)^(c+1) / (c+1)!; the smallest c for which this is below 2^-50 bounds the error of a number, and :class:`Values` holds
the range. Where a rule's bound is within the range, the metric is measured again by :func:`exactly`.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING

from dataward.quality.engines.codes import BLOCKS, COUNTS, LONG_BATCHES, counting, packing
from dataward.quality.engines.groups import bounds, counted_code, groupings, own_code
from dataward.quality.engines.scan import aggregated
from dataward.quality.metrics import Metric, Values, is_grouped, measurable, state, value
from dataward.quality.metrics.keys import Counts, Grouping
from dataward.quality.metrics.kinds import of_counts
from dataward.spark.settings import settings
from dataward.spark.sql import column, identifier
from dataward.spark.workers import without_delay
from dataward.tables.reason import reason

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["exactly", "measure"]

TASK = 8_000_000  # codes of one task: 64 MB
BUCKET = 1 << 15  # codes of one set that are sorted together: they fit into a processor's cache
BUCKETS = 256  # with more buckets, blocks would have only a few codes


def measure(frame: DataFrame, metrics: Iterable[Metric], plain: DataFrame | None = None) -> Values:
    """Measure every metric once, by one job for the scan and one for the stacked shuffle.

    Args:
        frame: the frame.
        metrics: the metrics.
        plain: the same rows without the flags that are joined for predicates; keys are counted on these.
    """
    types = {field.name.lower(): field.dataType.typeName() for field in frame.schema.fields}
    wanted, failures = measurable(metrics, types)
    sets = groupings(wanted)
    known = _completeness_from_keys(wanted, sets)
    scanned = [metric for metric in wanted if not is_grouped(metric) and metric not in known]
    values = _scan(frame, scanned) if scanned else Values({})
    if sets:
        hashed = [grouping for grouping in sets if not own_code(grouping, types)]
        of_sets = [metric for metric in wanted if is_grouped(metric)]
        rows, keyed = values.get(Metric("size")) or 0, frame if plain is None else plain
        of_keys, counts = _counted(_stacked(keyed, sets, types, rows), of_sets, sets, hashed)
        from_keys = {metric: counts[grouping].rows for metric, grouping in known.items()} if counts else {}
        shares = {metric: value(metric, (count, rows)) for metric, count in from_keys.items() if metric.kind != "size"}
        values = _joined(values, of_keys)
        values = _joined(values, Values({**from_keys, **shares} if Metric("size") in values else {}))
    if remaining := [metric for metric in known if metric not in values]:  # the keys could not be counted
        values = _joined(values, _scan(frame, remaining))
    return Values(values, {**failures, **values.failures}, values.ranges)


def _completeness_from_keys(metrics: list[Metric], sets: list[Grouping]) -> dict[Metric, Grouping]:
    """Return completeness metrics that the key grouping already answers, with their groupings."""
    by_predicate = {
        f"({identifier(grouping.columns[0])} is not null)": grouping
        for grouping in sets
        if len(grouping.columns) == 1 and grouping.where is None
    }
    answered = {}
    for metric in metrics:
        predicate = {
            "size": metric.where,
            "completeness": f"({identifier(metric.columns[0])} is not null)" if metric.columns else None,
            "compliance": None if metric.negated else metric.predicate,
        }.get(metric.kind)
        if predicate in by_predicate and (metric.kind == "size" or metric.where is None):
            answered[metric] = by_predicate[str(predicate)]
    return answered


def exactly(frame: DataFrame, metrics: Iterable[Metric]) -> Values:
    """Measure grouped metrics on the values themselves, by one shuffle for each set of key columns."""
    wanted = list(metrics)
    values = Values({})
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
        values = _joined(values, _counted(counts, of_this, [grouping], hashed=())[0])
    return values


def _joined(left: Values, right: Values) -> Values:
    return Values({**left, **right}, {**left.failures, **right.failures}, {**left.ranges, **right.ranges})


# the scan


def _scan(frame: DataFrame, metrics: list[Metric]) -> Values:
    """Measure metrics in one scan."""
    try:
        numbers = aggregated(frame, metrics)[None]
    except Exception as error:
        return Values({}, dict.fromkeys(metrics, f"the scan failed: {reason(error)}"))
    return Values({metric: value(metric, state(metric, numbers)) for metric in metrics})


# the shuffle


def _stacked(frame: DataFrame, sets: list[Grouping], types: dict[str, str], rows: float) -> DataFrame:
    """Return a frame of :data:`COUNTS` with a few rows for each set of keys."""
    salt = repr(
        secrets.token_hex(8)
    )  # a text, so that the code that Spark generates is the same for all salts and compiled once
    coded = [f"{counted_code(grouping, types, salt)} as code{n}" for n, grouping in enumerate(sets)]
    tasks = min(max(1, math.ceil(rows * len(sets) / TASK)), 10_000)
    buckets = max(tasks, min(math.ceil(rows / BUCKET), BUCKETS))
    blocks = frame.selectExpr(*coded).mapInArrow(without_delay(packing(buckets)), BLOCKS)
    return blocks.repartition(tasks, "bucket").mapInArrow(without_delay(counting()), COUNTS)


def _counted(
    counts: DataFrame,
    metrics: list[Metric],
    sets: list[Grouping],
    hashed: Iterable[Grouping],
) -> tuple[Values, dict[Grouping, Counts]]:
    """Return metrics, and the counts by grouping, from partial counts of keys (``grouping`` is the index in ``sets``)."""
    try:
        with settings(counts.sparkSession, LONG_BATCHES, hints=True):
            parts = counts.collect()
    except Exception as error:
        return Values({}, dict.fromkeys(metrics, f"the keys could not be grouped: {reason(error)}")), {}
    by_grouping = {sets[n]: Counts.total([row[1:] for row in parts if row[0] == n]) for n in range(len(sets))}
    by_metric = {metric: by_grouping[Grouping.of(metric)] for metric in metrics}
    ranges = {metric: bounds(metric, by_metric[metric]) for metric in metrics if Grouping.of(metric) in hashed}
    known = {metric: range_ for metric, range_ in ranges.items() if range_}
    return Values({metric: of_counts(metric, count) for metric, count in by_metric.items()}, ranges=known), by_grouping
