"""``RowCount > 1000``: the number of rows."""

from __future__ import annotations

from dataward.quality.rules.families import TableRule

__all__ = ["RowCount"]


class RowCount(TableRule):
    """Number of rows, nulls or not. An empty table has 0.

    Example::

        RowCount = 5                           # 5, PASSED
        RowCount > 3 where "age > 20"          # 3, FAILED
    """

    name = "RowCount"
    kind = "size"
    parameters = (0, 0)
