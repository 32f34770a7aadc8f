"""Model of the result of a run, as ``dataward publish --json`` prints it and ``report.json`` holds it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["Phase", "Place", "RunResult"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Place(_Frozen):
    """A table that a run wrote."""

    path: str
    version: int | None = None
    rows: int | None = None


class Phase(_Frozen):
    """A phase of a run: its wall time in seconds, and its outcome as text."""

    name: str
    seconds: float
    told: str = ""


class RunResult(_Frozen):
    """Result of a run.

    ``status`` is published, stopped (nothing was published, for the ``reasons``) or unchanged (this run id was sealed before, or
    no row may be released). ``merged`` counts the published rows that a merge inserted and updated.
    """

    run_id: str
    contract: str
    status: Literal["published", "stopped", "unchanged"]
    reasons: list[str] = []
    warnings: list[str] = []
    started: str
    seconds: float
    source: dict[str, Any]
    rows: dict[str, int]
    merged: dict[str, int] = {}
    verdicts: list[dict[str, Any]]
    verdicts_before: list[dict[str, Any]] = []
    repairs: list[dict[str, Any]] = []
    missing: list[dict[str, Any]] = []
    statistics: list[dict[str, Any]] = []
    past: list[dict[str, Any]] = []
    protections: list[dict[str, Any]]
    verdicts_after: list[dict[str, Any]] = []
    joins: list[dict[str, Any]] = []
    parity: list[dict[str, Any]] = []
    risk: list[dict[str, Any]] = []
    discovered: list[dict[str, Any]] = []
    target: Place
    quarantine: Place | None = None
    changes: Place | None = None
    seal: dict[str, Any] | None = None
    phases: list[Phase] = []
    report: str | None = None
