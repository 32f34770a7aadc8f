"""``ColumnCorrelation "height" "weight" > 0.8``: the correlation of two columns."""

from __future__ import annotations

import math
from datetime import datetime
from decimal import Decimal

from dataward.quality.metrics import Values
from dataward.quality.rules.families import TableRule

__all__ = ["ColumnCorrelation"]


class ColumnCorrelation(TableRule):
    """Pearson's correlation coefficient, -1 to 1, over rows in which both columns have a value.

    Constant columns, and columns with NaN, have none: nothing is measured and the rule fails.

    Example::

        ColumnCorrelation "id" "score" > 0     # 0.1519, PASSED
    """

    name = "ColumnCorrelation"
    span = (Decimal(-1), Decimal(1))
    kind = "correlation"
    parameters = (2, 2)

    def measure(self, values: Values, now: datetime) -> float | None:
        """Return the measured number."""
        correlation = super().measure(values, now)
        return None if correlation is None or math.isnan(correlation) else correlation
