"""``Mean "rating" between 3 and 5``: the arithmetic mean."""

from __future__ import annotations

from dataward.quality.rules.families import TableRule

__all__ = ["Mean"]


class Mean(TableRule):
    """Mean in the unit of the column; nulls are left out. For a column of nulls, nothing is measured and the rule fails.

    Example::

        Mean "age" between 30 and 32           # 31, PASSED
    """

    name = "Mean"
    kind = "mean"
    parameters = (1, 1)
