"""One run: what it was asked, what it has found out so far, how long each phase took, and what is told of it in the end."""

from __future__ import annotations

import dataclasses
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dataward.contract import Location
from dataward.errors import UsageError
from dataward.integrity.seal import Seal
from dataward.pipeline.examine import Examined
from dataward.pipeline.metric_history import Line
from dataward.pipeline.plan import Plan
from dataward.pipeline.repair import Mended
from dataward.privacy.discover.gates import Looked
from dataward.privacy.protect import Protected
from dataward.privacy.utility import Parity
from dataward.quality.judge import Judgement
from dataward.quality.past import Past
from dataward.report import Phase, Place, RunResult
from dataward.tables import delta
from dataward.tables.source import Pin

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Progress", "Run", "as_dicts", "pinned", "place_of"]

Progress = Callable[[str], None]


class Run:
    """What stays of a run while it is carried out."""

    mended: Mended
    past: Past
    lines: tuple[Line, ...] = ()
    changes: Place | None = None
    more_to_seal: Mapping[str, Any] = MappingProxyType({})

    def __init__(
        self, spark: SparkSession, plan: Plan, given_id: str | None, progress: Progress, held: ExitStack
    ) -> None:
        run_id = given_id or _fresh_run_id()
        self.may_be_a_rerun = given_id is not None
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", run_id):
            raise UsageError(f"run id '{run_id}': use up to 100 letters, digits, dots, dashes and underscores")
        self.spark, self.plan, self.contract, self.run_id = spark, plan, plan.contract, run_id
        self.progress, self.held = progress, held
        self.phases: list[Phase] = []
        self.others: dict[str, Pin] = {}
        self.output, self.kept = Examined(), list[Parity]()
        self.found, self.warnings, self.schema_changes = Looked(), list[str](), list[str]()
        self.started, self.clock = datetime.now(timezone.utc), time.perf_counter()

    @contextmanager
    def phase(self, name: str) -> Iterator[Callable[[str], None]]:
        begun, said = time.perf_counter(), [""]
        yield lambda words: said.__setitem__(0, words)
        spent = time.perf_counter() - begun
        self.phases.append(Phase(name=name, seconds=round(spent, 3), told=said[0]))
        self.progress(f"  {name:<8} {spent:6.2f} s  {said[0]}")

    def result(
        self,
        status: Any,
        source: Pin,
        judged: Judgement,
        protections: tuple[Protected, ...],
        rows: dict[str, int] | None = None,
        commit: delta.Commit | None = None,
        quarantine: delta.Commit | None = None,
        seal: Seal | None = None,
        reasons: list[str] | None = None,
    ) -> RunResult:
        contract = self.contract
        version = commit.version if commit else None
        if commit is None and delta.exists(self.spark, contract.target):
            version = delta.latest_version(self.spark, contract.target)
        return self.told(
            status,
            seal,
            reasons=reasons or [],
            source={"described": source.described, "version": source.version},
            rows=rows or {"in": self.rows_in(judged), "published": 0, "quarantined": 0, "dropped": 0},
            merged=commit.merged if commit else {},
            verdicts=as_dicts(judged.verdicts),
            verdicts_before=as_dicts(self.mended.verdicts_before),
            repairs=as_dicts(self.mended.repairs),
            missing=as_dicts(self.mended.patterns),
            statistics=as_dicts(judged.statistics),
            past=as_dicts(self.lines),
            protections=as_dicts(protections),
            warnings=[
                *self.mended.notes,
                *(self.schema_changes if seal else ()),
                *self.warnings,
                *self.output.warnings,
            ],
            discovered=as_dicts(self.found.findings),
            verdicts_after=as_dicts(self.output.verdicts),
            joins=as_dicts(self.output.joins),
            risk=as_dicts(self.output.crowds),
            parity=[{**dataclasses.asdict(column), "same": column.same} for column in self.kept],
            target=Place(path=str(contract.target), version=version, rows=commit.rows if commit else None),
            quarantine=place_of(contract.quarantine_location, quarantine) if quarantine else None,
            changes=self.changes,
            phases=self.phases,
        )

    def rows_in(self, judged: Judgement) -> int:
        """The rows that this run takes in, of which each is published, quarantined or dropped."""
        return judged.rows + self.mended.rows_diverted

    def unchanged(self, seal: Seal) -> RunResult:
        """The result of a run that was sealed before, told again from its seal."""
        if seal.contract_sha256 != self.plan.sha256:
            raise UsageError(
                f"run id '{self.run_id}' is sealed under another text of this contract: give a new --run-id"
            )
        self.progress(f"  run '{self.run_id}' is sealed already as version {seal.version}: nothing to do")
        return self.told(
            "unchanged",
            seal,
            source={"described": seal.source["described"], "version": seal.source["version"]},
            rows=seal.rows,
            verdicts=seal.verdicts,
            verdicts_before=seal.verdicts_before,
            repairs=seal.repairs,
            protections=seal.protections,
            verdicts_after=seal.verdicts_after,
            joins=seal.joins,
            target=Place(path=seal.target, version=seal.version, rows=seal.rows["published"]),
            quarantine=Place(**seal.quarantine) if seal.quarantine else None,
            changes=Place(**seal.changes) if seal.changes else None,
        )

    def told(self, status: Any, seal: Seal | None, **more: Any) -> RunResult:
        return RunResult(
            run_id=self.run_id,
            contract=self.contract.contract,
            status=status,
            started=self.started.isoformat(timespec="seconds"),
            seconds=round(time.perf_counter() - self.clock, 3),
            seal=seal.model_dump(
                mode="json",
                exclude={"verdicts", "verdicts_before", "repairs", "protections", "verdicts_after", "joins"},
            )
            if seal
            else None,
            **more,
        )


def _fresh_run_id() -> str:
    return f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"


def pinned(place: Pin) -> dict[str, Any]:
    return {"version": place.version, "sha256": place.digest}


def as_dicts(items: Any) -> list[dict[str, Any]]:
    return [dataclasses.asdict(item) for item in items]


def place_of(location: Location | None, commit: delta.Commit) -> Place:
    return Place(path=str(location), version=commit.version, rows=commit.rows)
