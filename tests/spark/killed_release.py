"""A release in a process of its own that SIGKILLs itself and its JVM at a named instant: ``python -m tests.spark.killed_release``."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from dataward.pipeline import paid
from dataward.release import budget, draws
from dataward.release.query import Query

AFTER = {
    "drawn": (paid, "table_of"),
    "staged": (draws, "stage"),
    "charged": (budget, "ask"),
    "entered": (paid, "enter"),
    "sealed": (paid, "seal_answer"),
}
"""Functions after whose return the process dies."""
WRITTEN = {
    "charge half written": "budgets/part-*.parquet",
    "charge committed": "budgets/_delta_log/*1.json",
    "answer half written": "answer/part-*.parquet",
    "answer committed": "answer/_delta_log/*0.json",
}
"""Files at whose appearance the process dies, in the middle of the JVM's work."""
INSTANTS = (*AFTER, *WRITTEN)


def die(*_: object) -> None:
    """Kill this process and its JVM, as the kernel does."""
    os.killpg(0, signal.SIGKILL)


def prepare(instant: str, root: Path) -> None:
    """Arrange the death."""
    if instant in AFTER:
        place, name = AFTER[instant]
        whole = getattr(place, name)
        setattr(place, name, lambda *given, **named: die(whole(*given, **named)))
        return
    before = set(root.glob(WRITTEN[instant]))

    def watch() -> None:
        while not set(root.glob(WRITTEN[instant])) - before:
            pass
        die()

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    from dataward.spark import session
    from dataward.verbs.release import release

    instant, text, folder = sys.argv[1:]
    spark = session.get(**{"spark.master": "local[1]", "spark.sql.codegen.wholeStage": "false"})
    prepare(instant, Path(folder))
    release(spark, Query.model_validate_json(text), "r1")
