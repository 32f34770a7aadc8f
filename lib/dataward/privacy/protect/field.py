"""What an operator is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Field"]


@dataclass(frozen=True)
class Field:
    """One column of the frame (a Spark Column), the domain of its key and the key version of new writes."""

    column: Any
    domain: str
    version: int
