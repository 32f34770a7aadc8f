"""Metrics: numbers about a frame that rules need and engines measure.

One class per kind holds everything about it: its SQL, its mergeable state, its Deequ analyzer. A new kind is one class and one
line of :data:`KINDS`.
"""

from dataward.quality.metrics.kinds import KINDS, Numbers, aggregates, is_grouped, measurable, merged, state, value
from dataward.quality.metrics.metric import NUMERIC, WHOLE, Kind, Metric, State, Unmeasured, Values

__all__ = [
    "KINDS",
    "NUMERIC",
    "WHOLE",
    "Kind",
    "Metric",
    "Numbers",
    "State",
    "Unmeasured",
    "Values",
    "aggregates",
    "is_grouped",
    "measurable",
    "merged",
    "state",
    "value",
]
