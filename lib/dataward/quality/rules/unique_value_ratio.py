"""``UniqueValueRatio "email" > 0.9``: the share of distinct values that occur exactly once."""

from __future__ import annotations

from dataward.quality.rules.base import SHARE
from dataward.quality.rules.families import TableRule

__all__ = ["UniqueValueRatio"]


class UniqueValueRatio(TableRule):
    """Values (or combinations) that occur once, divided by distinct values (0 to 1); combinations of nulls only are left out.

    Example::

        UniqueValueRatio "mail" > 0.5          # 0.6667, PASSED
    """

    name = "UniqueValueRatio"
    span = SHARE
    kind = "unique_value_ratio"
    parameters = (1, None)
