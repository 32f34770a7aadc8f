"""``FileFreshness "s3://lake/in/" > (now() - 24 hours)``: every file is recent enough."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta

from dataward.quality.conditions import Moment, Operand
from dataward.quality.files import FileRule
from dataward.quality.rules.families import Scene
from dataward.spark.compare import Value, as_moment

__all__ = ["FileFreshness"]

TIME = re.compile(r"(\d{1,2}):(\d\d)(?: (AM|PM))?")


class FileFreshness(FileRule):
    """Share of files whose time of modification (UTC) meets the condition; it must be 1, or meet ``with threshold``.

    Operands are ``now()``, dates (``"2026-01-31"``) and times of the day on which the run began (``"9:30 AM"``, ``"21:30"``). The
    ends of ``between`` may be in either order, as in Glue's own examples.

    Example::

        FileFreshness "files" > "2020-01-01"   # 1, PASSED
        FileFreshness "files" < "2020-01-01"   # 0, FAILED
    """

    name = "FileFreshness"
    condition = "moment"
    either_order = True

    def check(self) -> None:
        """Validate the statement."""
        super().check()
        condition = self.statement.condition
        if (
            condition is None
            or condition.operator == "matches"
            or not all(isinstance(o, str | Moment) for o in condition.operands)
        ):
            self.refuse("FileFreshness compares with times", 'write (now() - 3 days), "2026-01-31" or "9:30 AM"')
        for operand in condition.operands if condition is not None else ():
            if isinstance(operand, str) and not TIME.fullmatch(operand) and as_moment(operand) is None:
                self.refuse(f"'{operand}' is no time", 'write "2026-01-31", "2026-01-31 12:00:00" or "9:30 AM"')

    def meets(self, scene: Scene) -> str:
        """Return SQL of the condition that a file must meet."""
        condition = self.statement.condition
        assert condition is not None  # noqa: S101 - check() ensures it
        moments = [_moment(operand, scene.now) for operand in condition.operands]
        if condition.operator == "between":
            moments.sort()
        return replace(condition, operands=tuple(moments)).sql(Value("modificationTime", "timestamp"), scene.now)


def _moment(operand: Operand, now: datetime) -> str:
    """Return an operand as ``yyyy-mm-dd hh:mm:ss``, which sorts by time and which Spark compares with a timestamp."""
    if isinstance(operand, Moment):
        return f"{now + operand.offset:%Y-%m-%d %H:%M:%S}"
    match = TIME.fullmatch(str(operand))
    if not match:
        return str(operand)
    hours = int(match[1]) % 12 + (12 if match[3] == "PM" else 0) if match[3] else int(match[1])
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return f"{midnight + timedelta(hours=hours, minutes=int(match[2])):%Y-%m-%d %H:%M:%S}"
