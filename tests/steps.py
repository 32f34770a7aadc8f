"""Put another function in the place of one of a run's writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dataward.pipeline import write

__all__ = ["NAMES", "instead"]

NAMES = tuple(name for name, _ in write.WRITES)


def instead(patch: pytest.MonkeyPatch, name: str, step: Callable[..., Any]) -> None:
    """Carry out ``step`` where the write of this name would be."""
    assert name in NAMES
    patch.setattr(write, "WRITES", tuple((other, step if other == name else own) for other, own in write.WRITES))
