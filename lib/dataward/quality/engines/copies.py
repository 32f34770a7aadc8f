"""Measure the same metrics on several variants of a frame together: one scan and one shuffle for all of them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import TYPE_CHECKING

from dataward.quality.engines.groups import bounds, counted_code, groupings, own_code
from dataward.quality.engines.scan import aggregated
from dataward.quality.engines.spark import measure as alone
from dataward.quality.internal import INTERNAL
from dataward.quality.metrics import Metric, Values, is_grouped, measurable, state, value
from dataward.quality.metrics.keys import Counts, Grouping
from dataward.quality.metrics.kinds import of_counts
from dataward.quality.split import with_paths
from dataward.spark.sql import identifier

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["Copies", "measured_copies"]

COPY = f"{INTERNAL}copy"
"""Column with the number of a row's variant."""


class Copies:
    """Variants of a frame, measured together when the first of them is judged."""

    def __init__(self, frames: Sequence[DataFrame], named: Iterable[str]) -> None:
        """Create them from frames with the same columns; ``named``: columns and paths that rules name."""
        self._frames = [with_paths(frame, named) for frame in frames]
        self._found: list[Values] | None = None

    def measuring(self, number: int) -> Callable[[DataFrame, list[Metric]], Values]:
        """Return the function that measures a variant, for :class:`dataward.quality.judge.Options`."""

        def measure(ready: DataFrame, metrics: list[Metric]) -> Values:
            if self._found is None:
                try:
                    self._found = measured_copies(self._frames, metrics)
                except Exception:  # a rule that cannot be evaluated: each variant by itself says which
                    self._found = []
            values = self._found[number] if self._found else Values({})
            return values if Metric("size") in values else alone(ready, metrics)

        return measure


def measured_copies(frames: Sequence[DataFrame], metrics: Iterable[Metric]) -> list[Values]:
    """Measure metrics on each frame.

    Args:
        frames: frames with the same columns.
        metrics: the metrics.

    Returns:
        The values of each frame. A frame without rows has none.
    """
    from pyspark.sql import functions as F

    together = reduce(
        lambda left, right: left.unionByName(right),
        (frame.withColumn(COPY, F.lit(n)) for n, frame in enumerate(frames)),
    )
    types = {field.name.lower(): field.dataType.typeName() for field in together.schema.fields}
    wanted, failures = measurable(metrics, types)
    scanned = [metric for metric in wanted if not is_grouped(metric)]
    of_sets = [metric for metric in wanted if is_grouped(metric)]
    parts = aggregated(together, scanned, f"cast({COPY} as string)")
    keys = _counted(together, groupings(of_sets), types) if of_sets else {}
    found = []
    for number in range(len(frames)):
        if (numbers := parts.get(str(number))) is None:
            found.append(Values({}, dict.fromkeys(wanted, "there are no rows")))
            continue
        values = {metric: value(metric, state(metric, numbers, parts=True)) for metric in scanned}
        counts = {metric: keys.get((number, Grouping.of(metric)), Counts.total([])) for metric in of_sets}
        values |= {metric: of_counts(metric, count) for metric, count in counts.items()}
        hashed = {metric: bounds(metric, count) for metric, count in counts.items() if not _is_own(metric, types)}
        found.append(Values(values, failures, {metric: ends for metric, ends in hashed.items() if ends}))
    return found


def _is_own(metric: Metric, types: dict[str, str]) -> bool:
    return own_code(Grouping.of(metric), types) is not None


def _counted(frame: DataFrame, sets: list[Grouping], types: dict[str, str]) -> dict[tuple[int, Grouping], Counts]:
    """Count the keys of each variant and grouping, by one shuffle."""
    from pyspark.sql import functions as F

    salt = repr(secrets.token_hex(8))
    codes = (f"struct({n} as grouping, {counted_code(one, types, salt)} as code)" for n, one in enumerate(sets))
    each = frame.selectExpr(identifier(COPY), f"explode(array({', '.join(codes)})) as key").where(
        "key.code is not null"
    )
    counted = each.groupBy(COPY, "key.grouping", "key.code").count().groupBy(COPY, "grouping")
    sums = "sum(count)", "count(*)", "count_if(count = 1)", "max(count)", "sum(count * ln(count))"
    rows = counted.agg(*(F.expr(sql) for sql in sums)).collect()
    return {(row[0], sets[row[1]]): Counts(*row[2:]) for row in rows}
