"""``Uniqueness "email" > 0.9``: the share of rows whose value (or combination of values) occurs exactly once."""

from __future__ import annotations

from dataward.quality.rules.base import SHARE
from dataward.quality.rules.families import TableRule

__all__ = ["Uniqueness"]


class Uniqueness(TableRule):
    """Share (0 to 1) among rows with a value; rows in which all these columns are null are left out.

    Example::

        Uniqueness "mail" > 0.9                # 0.5, FAILED
        Uniqueness "id" "mail" = 1             # 1, PASSED
    """

    name = "Uniqueness"
    span = SHARE
    kind = "uniqueness"
    parameters = (1, None)
