"""Facts of a run, from which the seal, the result, and the result of an unchanged rerun are derived."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from dataward.contract import Location
from dataward.integrity.reported import sealed_report
from dataward.integrity.seal import Seal, SealedReport
from dataward.pipeline.context import Context
from dataward.report import Place, RunResult
from dataward.tables import delta
from dataward.tables.source import Pin

__all__ = ["Facts", "as_dicts", "attest_report", "pin_facts", "place_of", "result", "unchanged"]

Status = Literal["published", "stopped", "unchanged"]
Dicts = list[dict[str, Any]]

_SHARED = sorted(Seal.model_fields.keys() & RunResult.model_fields.keys() - {"run_id", "contract", "target"})
"""Fields that both the seal and the result have; the result repeats none of them."""


@dataclass(frozen=True)
class Facts:
    """Facts of one run. Fields named like those of ``Seal`` go into the seal, fields named like those of ``RunResult`` into the result."""

    source: dict[str, Any]
    rows: dict[str, int]
    target: Place
    verdicts: Dicts
    references: dict[str, Any] = dataclasses.field(default_factory=dict)
    verdicts_before: Dicts = dataclasses.field(default_factory=list)
    verdicts_after: Dicts = dataclasses.field(default_factory=list)
    repairs: Dicts = dataclasses.field(default_factory=list)
    protections: Dicts = dataclasses.field(default_factory=list)
    joins: Dicts = dataclasses.field(default_factory=list)
    approvals: Dicts = dataclasses.field(default_factory=list)
    quarantine: Place | None = None
    changes: Place | None = None
    releases: str | None = None
    reasons: list[str] = dataclasses.field(default_factory=list)
    warnings: list[str] = dataclasses.field(default_factory=list)
    merged: dict[str, int] = dataclasses.field(default_factory=dict)
    missing: Dicts = dataclasses.field(default_factory=list)
    statistics: Dicts = dataclasses.field(default_factory=list)
    past: Dicts = dataclasses.field(default_factory=list)
    parity: Dicts = dataclasses.field(default_factory=list)
    risk: Dicts = dataclasses.field(default_factory=list)
    discovered: Dicts = dataclasses.field(default_factory=list)

    def of(self, model: type[Seal] | type[RunResult]) -> dict[str, Any]:
        """Return the facts for the fields of a model; in a seal, places are plain data."""
        found = {name: getattr(self, name) for name in _NAMES if name in model.model_fields}
        if model is Seal:
            found.pop("target")
            places = {name: value.model_dump() for name, value in found.items() if isinstance(value, Place)}
            return {**found, **places}
        return {**found, "source": {key: self.source[key] for key in ("described", "version")}}


_NAMES = tuple(one.name for one in dataclasses.fields(Facts))


def result(ctx: Context, status: Status, facts: Facts, seal: Seal | None = None) -> RunResult:
    """Return the result of a run, which ``--json`` prints and the report holds."""
    return _result(ctx, status, seal, facts.of(RunResult))


def attest_report(ctx: Context, facts: Facts) -> SealedReport:
    """Attest what the report will say, as far as it is known before the seal."""
    # A digest of exact statistics would give them away where only noisy ones are released.
    noisy = frozenset({"statistics"} if ctx.contract.metrics == "private" else ())
    return sealed_report(result(ctx, "published", facts), noisy)


def unchanged(ctx: Context, seal: Seal, warnings: list[str]) -> RunResult:
    """Return the result of a run that was sealed before, taken from its seal."""
    ctx.trace.progress(f"  run '{ctx.run_id}' is sealed already as version {seal.version}: nothing to do")
    shared = {name: getattr(seal, name) for name in _SHARED}
    target = Place(path=seal.target, version=seal.version, rows=seal.rows["published"])
    source = {key: seal.source[key] for key in ("described", "version")}
    return _result(ctx, "unchanged", seal, {**shared, "source": source, "target": target, "warnings": warnings})


def _result(ctx: Context, status: Status, seal: Seal | None, facts: dict[str, Any]) -> RunResult:
    repeated = set(_SHARED) - {"source", "rows", "quarantine", "changes"}
    return RunResult(
        run_id=ctx.run_id,
        contract=ctx.contract.contract,
        status=status,
        started=ctx.trace.started.isoformat(timespec="seconds"),
        seconds=ctx.trace.seconds,
        phases=[] if status == "unchanged" and seal else ctx.trace.phases,
        seal=seal.model_dump(mode="json", exclude=repeated) if seal else None,
        **facts,
    )


def pin_facts(pin: Pin) -> dict[str, Any]:
    """Return the version, digest and seal of the rows that were read, for commits and seals."""
    sealed = {"seal": dict(pin.seal)} if pin.seal else {}
    return {"version": pin.version, "sha256": pin.digest, **sealed}


def as_dicts(items: Any) -> Dicts:
    """Return dataclasses as plain data."""
    return [dataclasses.asdict(item) for item in items]


def place_of(location: Location | None, commit: delta.Commit) -> Place:
    """Return the place and version of a commit of this run."""
    return Place(path=str(location), version=commit.version, rows=commit.rows)
