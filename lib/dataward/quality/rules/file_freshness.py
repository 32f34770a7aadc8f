"""``FileFreshness "s3://lake/in/" > (now() - 24 hours)``: every file is recent enough."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta

from dataward.compare import Value, as_moment
from dataward.quality.conditions import Moment, Operand
from dataward.quality.files import FileRule
from dataward.quality.rules.base import Scene

__all__ = ["FileFreshness"]

TIME = re.compile(r"(\d{1,2}):(\d\d)(?: (AM|PM))?")


class FileFreshness(FileRule):
    """Share of files modified at such a time (UTC); all must be, or ``with threshold``.

    Compared with ``now()``, with dates (``"2026-01-31"``) and with times of the day on which the run began
    (``"9:30 AM"``, ``"21:30"``). The ends of ``between`` may stand in either order, as in Glue's own examples.

    Example::

        FileFreshness "files" > "2020-01-01"   # 1, PASSED
        FileFreshness "files" < "2020-01-01"   # 0, FAILED
    """

    name = "FileFreshness"
    condition = "moment"
    either_order = True

    def check(self) -> None:
        super().check()
        said = self.statement.condition
        if said is None or said.operator == "matches" or not all(isinstance(o, str | Moment) for o in said.operands):
            self.refuse("FileFreshness compares with times", 'write (now() - 3 days), "2026-01-31" or "9:30 AM"')
        for operand in said.operands if said is not None else ():
            if isinstance(operand, str) and not TIME.fullmatch(operand) and as_moment(operand) is None:
                self.refuse(f"'{operand}' is no time", 'write "2026-01-31", "2026-01-31 12:00:00" or "9:30 AM"')

    def meets(self, scene: Scene) -> str:
        said = self.statement.condition
        assert said is not None  # noqa: S101 - held by check()
        moments = [_moment(operand, scene.now) for operand in said.operands]
        if said.operator == "between":
            moments.sort()
        return replace(said, operands=tuple(moments)).sql(Value("modificationTime", "timestamp"), scene.now)


def _moment(operand: Operand, now: datetime) -> str:
    """An operand as ``yyyy-mm-dd hh:mm:ss``, which sorts as it should and which Spark compares with a timestamp."""
    if isinstance(operand, Moment):
        return f"{now + operand.offset:%Y-%m-%d %H:%M:%S}"
    found = TIME.fullmatch(str(operand))
    if not found:
        return str(operand)
    hours = int(found[1]) % 12 + (12 if found[3] == "PM" else 0) if found[3] else int(found[1])
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return f"{midnight + timedelta(hours=hours, minutes=int(found[2])):%Y-%m-%d %H:%M:%S}"
