"""``DistinctValuesCount "state" = 8``: the number of distinct values."""

from __future__ import annotations

from dataward.quality.rules.families import TableRule

__all__ = ["DistinctValuesCount"]


class DistinctValuesCount(TableRule):
    """Exact count of distinct values; nulls are left out.

    Example::

        DistinctValuesCount "mail" = 3         # 3, PASSED
    """

    name = "DistinctValuesCount"
    kind = "distinct_count"
    parameters = (1, 1)
