"""``Sum "amount" > 0``: the total of a column."""

from __future__ import annotations

from dataward.quality.rules.base import TableRule

__all__ = ["Sum"]


class Sum(TableRule):
    """Sum in the unit of the column, as a double; nulls are left out. Only nulls: nothing is measured and the rule fails.

    Example::

        Sum "score" = 6                        # 6, PASSED
    """

    name = "Sum"
    kind = "sum"
    parameters = (1, 1)
