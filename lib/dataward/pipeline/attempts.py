"""Repeat a run whose write was refused because another writer committed at the same time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from dataward.errors import Overtaken
from dataward.pipeline.context import Asked

__all__ = ["repeated"]

ATTEMPTS = 5
Done = TypeVar("Done")


def repeated(asked: Asked, run: Callable[[Asked], Done], wait: Callable[[float], None] = time.sleep) -> Done:
    """Return what a run returns; an overtaken one is repeated under its ID, so that what it has written already is found.

    Raises:
        Overtaken: others were faster in every attempt.
    """
    for attempt in range(1, ATTEMPTS):
        try:
            return run(asked)
        except Overtaken as error:
            asked.progress(f"  attempt {attempt}: {error}; it is repeated")
            asked = replace(asked, run_id=error.run_id)
            wait(random.uniform(0, attempt))
    return run(asked)
