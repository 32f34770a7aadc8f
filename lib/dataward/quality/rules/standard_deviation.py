"""``StandardDeviation "rating" < 1.5``: the spread of a column."""

from __future__ import annotations

from dataward.quality.rules.families import TableRule

__all__ = ["StandardDeviation"]


class StandardDeviation(TableRule):
    """Standard deviation of the population (divided by n), in the unit of the column; nulls are left out.

    Example::

        StandardDeviation "score" < 3          # 2.2079, PASSED
    """

    name = "StandardDeviation"
    kind = "standard_deviation"
    parameters = (1, 1)
