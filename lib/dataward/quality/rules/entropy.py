"""``Entropy "state" > 1``: how evenly the values are spread."""

from __future__ import annotations

from dataward.quality.rules.families import TableRule

__all__ = ["Entropy"]


class Entropy(TableRule):
    """Shannon entropy in nats, -sum(p * ln p) over the shares p of the distinct values; nulls are left out.

    Example::

        Entropy "age" > 1                      # 1.0397, PASSED
    """

    name = "Entropy"
    kind = "entropy"
    parameters = (1, 1)
