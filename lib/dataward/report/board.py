"""Models of what the dashboard reads: reports of runs, audit events (OCSF), proofs and budgets; other fields are ignored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictBool

__all__ = ["Board", "Budget", "Call", "Event", "Loss", "Number", "Proof", "Rows", "Run", "Seal", "Series"]

Number = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Verdict(_Read):
    """Outcome of a rule."""

    rule: str
    outcome: Literal["PASSED", "FAILED", "SKIPPED", "ERRORED"]
    measured: Number | None = None
    expected: str = ""
    failed_rows: int | None = None
    action: str = ""


class Rows(_Read):
    """Numbers of rows of a run."""

    read: Count = Field(alias="in")
    published: Count
    quarantined: Count
    dropped: Count


class Series(_Read):
    """Numbers of a series, the run's own last, and the ends of the band in which the last was expected."""

    series: str
    values: list[Number] = Field(min_length=1)
    low: Number | None = None
    high: Number | None = None


class _Target(_Read):
    path: str
    version: int | None = None


class _Key(_Read):
    domain: str
    version: int


class _Content(_Read):
    digest: str = ""


class Seal(_Read):
    """Seal of a version."""

    version: int
    time: AwareDatetime
    key: _Key | None = None
    content: _Content | None = None


class Run(_Read):
    """Report of a run."""

    run_id: str
    contract: str
    status: Literal["published", "stopped", "unchanged"]
    reasons: list[str] = []
    warnings: list[str] = []
    started: AwareDatetime
    seconds: Number
    rows: Rows
    verdicts: list[_Verdict]
    past: list[Series] = []
    target: _Target
    seal: Seal | None = None


class _Named(_Read):
    name: str = ""


class _Actor(_Read):
    user: _Named | None = None


class Call(_Read):
    """Dataward's own part of an event."""

    verb: str = ""
    purpose: str = ""
    status: str = ""


class _Unmapped(_Read):
    dataward: Call | None = None


class Event(_Read):
    """An audit event; ``time`` in milliseconds since 1970, before the year 10000."""

    time: int = Field(ge=0, lt=253_402_300_800_000)
    actor: _Actor | None = None
    table: _Named | None = None
    entity: _Named | None = None
    unmapped: _Unmapped | None = None


class Proof(_Read):
    """Result of ``dataward verify --json``."""

    contract: str
    version: int | None = None
    holds: StrictBool


class Loss(_Read):
    """A privacy loss."""

    epsilon: Number


class Budget(_Read):
    """An account as ``dataward budget show --json`` prints it, or a plain name, unit, spent and cap."""

    name: str = ""
    dataset: str = ""
    unit: str = ""
    spent: Number | Loss
    cap: Number | Loss


class Board(_Read):
    """What the page is drawn from.

    Attributes:
        runs: reports of runs with the page of each, relative to the dashboard (empty: none).
    """

    runs: Sequence[tuple[Run, str]]
    events: Sequence[Event] = ()
    proofs: Sequence[Proof] = ()
    budgets: Sequence[Budget] = ()
    now: AwareDatetime = Field(default_factory=lambda: datetime.now(timezone.utc))
