"""Context of a run from its start, and the log of its phases."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from dataward.contract import Contract
from dataward.errors import named_run
from dataward.keys import Keyring
from dataward.pipeline.plan import Plan
from dataward.pipeline.resume import Earlier
from dataward.report import Phase
from dataward.tables.log import Newest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Asked", "Context", "Progress", "Trace", "silent", "unwatched"]

Progress = Callable[[str], None]
Watch = Callable[[str, float, BaseException | None], None]


def silent(line: str) -> None:
    """Show no progress."""


def unwatched(phase: str, seconds: float, error: BaseException | None) -> None:
    """Ignore the end of a phase."""


@dataclass(frozen=True)
class Asked:
    """A request to publish a contract.

    Attributes:
        run_id: None for a new one. A run with a given ID may be a rerun: its earlier attempts are looked up.
    """

    plan: Plan
    run_id: str | None = None
    report_folder: str = "reports"
    progress: Progress = silent

    def name(self) -> str:
        """Return the run ID, or make one.

        Raises:
            UsageError: the ID has characters that are not allowed in folder names and SQL.
        """
        return named_run(self.run_id or f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}")


@dataclass
class Trace:
    """Log of one run: its finished phases and the state of its commits, for the message after Ctrl-C.

    Attributes:
        watch: is called with the name of a finished phase, its seconds, and the error that ended it.
    """

    progress: Progress
    started: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    clock: float = field(default_factory=time.perf_counter)
    phases: list[Phase] = field(default_factory=list)
    committing: bool = False
    sealed_version: int | None = None
    watch: Watch = unwatched

    @contextmanager
    def phase(self, name: str) -> Iterator[Callable[[str], None]]:
        """Time a phase; the caller gets a function that sets the phase's description."""
        begun, words = time.perf_counter(), [""]
        try:
            yield lambda text: words.__setitem__(0, text)
        except BaseException as error:
            self.watch(name, time.perf_counter() - begun, error)
            raise
        spent = time.perf_counter() - begun
        self.watch(name, spent, None)
        self.phases.append(Phase(name=name, seconds=round(spent, 3), told=words[0]))
        self.progress(f"  {name:<8} {spent:6.2f} s  {words[0]}")

    @property
    def seconds(self) -> float:
        """Wall time since the start."""
        return round(time.perf_counter() - self.clock, 3)


@dataclass(frozen=True)
class Context:
    """Inputs that every stage of one run may read.

    Attributes:
        now: the time that rules use; a rerun uses the time of the first attempt.
        earlier: results of an earlier attempt under the same run ID.
        target: the target's newest version at the start of the run; None where there was no table.
        resources: closed when the run ends: cached frames and the like.
    """

    spark: SparkSession
    plan: Plan
    run_id: str
    keys: Keyring
    now: datetime
    earlier: Earlier
    trace: Trace
    resources: ExitStack
    target: Newest | None = None

    @property
    def contract(self) -> Contract:
        """The contract of the run."""
        return self.plan.contract
