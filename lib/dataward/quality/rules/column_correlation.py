"""``ColumnCorrelation "height" "weight" > 0.8``: how two columns move together."""

from __future__ import annotations

from dataward.quality.rules.base import TableRule

__all__ = ["ColumnCorrelation"]


class ColumnCorrelation(TableRule):
    """Pearson's correlation coefficient, -1 to 1, over rows in which both columns have a value.

    Example::

        ColumnCorrelation "id" "score" > 0     # 0.1519, PASSED
    """

    name = "ColumnCorrelation"
    kind = "correlation"
    parameters = (2, 2)
