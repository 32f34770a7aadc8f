"""``keep``: The column as it is."""

from __future__ import annotations

from typing import Any

from dataward.contract import Keep
from dataward.privacy.protect.field import Field

__all__ = ["apply"]


def apply(parameters: Keep, field: Field) -> Any:
    return field.column
