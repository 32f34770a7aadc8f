"""``drop``: No column."""

from __future__ import annotations

from typing import Any

from dataward.contract import Drop
from dataward.privacy.protect.field import Field

__all__ = ["apply"]


def apply(parameters: Drop, field: Field) -> Any:
    return None
