"""``Completeness "postcode" > 0.95``: the share of rows whose column is not null."""

from __future__ import annotations

from dataward.quality.rules.base import SHARE
from dataward.quality.rules.families import TableRule

__all__ = ["Completeness"]


class Completeness(TableRule):
    """Share (0 to 1) of non-null values; an empty string counts as a value. A table without rows has no share and fails.

    Example::

        Completeness "mail" > 0.9              # 0.8, FAILED
        Completeness "mail" = 1 where "id < 4" # 1, PASSED
    """

    name = "Completeness"
    span = SHARE
    kind = "completeness"
    parameters = (1, 1)
