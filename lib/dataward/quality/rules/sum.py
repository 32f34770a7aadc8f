"""``Sum "amount" > 0``: the total of a column."""

from __future__ import annotations

import math
from datetime import datetime

from dataward.quality.metrics import Unmeasured, Values
from dataward.quality.rules.base import TableRule
from dataward.sql import identifier

__all__ = ["Sum"]

EXACT = 2.0**53
"""From here on not every whole number is a double."""
NEAR = 1e-12
"""More than adding doubles in another order changes."""


class Sum(TableRule):
    """Sum in the unit of the column; nulls are left out. Only nulls: nothing is measured and the rule fails.

    Whole numbers and decimals are added exactly, and told as a double: beyond 2^53, where a bound is so near that doubles do not
    tell it from the sum, the rule is ERRORED (ask CustomSql, which compares whole numbers and decimals exactly).

    Example::

        Sum "score" = 6                        # 6, PASSED
    """

    name = "Sum"
    kind = "sum"
    parameters = (1, 1)

    def measure(self, values: Values, now: datetime) -> float | None:
        found = super().measure(values, now)
        if found is None or not EXACT <= abs(found) < math.inf:
            return found
        if any(abs(number - found) <= abs(found) * NEAR for number in self.bound().numbers):
            total = f"sum(cast({identifier(self.columns[0])} as decimal(38,0)))"
            raise Unmeasured(f"beyond 2^53 doubles do not tell the sum from the bound: compare {total} in CustomSql")
        return found
