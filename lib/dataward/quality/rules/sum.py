"""``Sum "amount" > 0``: the total of a column."""

from __future__ import annotations

import math
from datetime import datetime

from dataward.quality.metrics import Unmeasured, Values
from dataward.quality.rules.families import TableRule
from dataward.spark.sql import identifier

__all__ = ["Sum"]

EXACT = 2.0**53
"""Doubles represent every integer below this number."""
NEAR = 1e-12
"""Relative difference that exceeds rounding errors of another order of addition."""


class Sum(TableRule):
    """Sum in the unit of the column; nulls are left out. For a column of nulls, nothing is measured and the rule fails.

    Whole numbers and decimals are added exactly, and the sum is reported as double. Beyond 2^53, where doubles cannot distinguish the
    sum from a bound, the rule is ERRORED; use CustomSql, which compares whole numbers and decimals exactly.

    Example::

        Sum "score" = 6                        # 6, PASSED
    """

    name = "Sum"
    kind = "sum"
    parameters = (1, 1)

    def measure(self, values: Values, now: datetime) -> float | None:
        """Return the measured number."""
        found = super().measure(values, now)
        if found is None or not EXACT <= abs(found) < math.inf:
            return found
        if any(abs(number - found) <= abs(found) * NEAR for number in self.bound().numbers):
            total = f"sum(cast({identifier(self.columns[0])} as decimal(38,0)))"
            raise Unmeasured(f"beyond 2^53 doubles do not tell the sum from the bound: compare {total} in CustomSql")
        return found
