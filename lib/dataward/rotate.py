"""Rotate the key of a domain: a new version for new writes, every table brought to it, joins whole all the while.

The window: ``rotate`` opens it, and until ``finish`` closes it every write and every table that was brought over carries
beside each column that joins the values under the outgoing version (``email__v1``). Each table is one Delta version, sealed;
what is killed is taken up again by the same command.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.contract import Location
from dataward.errors import ProofError, UsageError
from dataward.integrity import ledger
from dataward.integrity.key_uses import key_uses, live_versions
from dataward.integrity.sealing import seal_version
from dataward.mend import repaired
from dataward.plan import Plan
from dataward.privacy.keys import Keyring, open_keys
from dataward.privacy.protect import OPERATORS, statistics_columns
from dataward.privacy.protect.entries import tables_of
from dataward.privacy.retokenise import Step, without_shadows
from dataward.session import demand_encryption, isolated
from dataward.sql import column
from dataward.tables import commits, delta
from dataward.tables.source import pin

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Carrier", "Rotated", "rotate"]

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Carrier:
    """What still carries the outgoing version: rows of a column (None: how many cannot be told), or older table versions."""

    place: str
    column: str
    rows: int | None
    remedy: str
    blocks: bool = True


@dataclass(frozen=True)
class Rotated:
    """``window``: whether it is still open. ``carriers`` with ``blocks`` are in the way of closing it."""

    domain: str
    old: int
    new: int
    window: bool
    carriers: tuple[Carrier, ...]


def rotate(
    spark: SparkSession,
    domain: str,
    plans: Sequence[Plan],
    finish: bool = False,
    progress: Progress = lambda line: None,
) -> Rotated:
    """Bring the tables of these contracts to a new key version of a domain, or close the window when all are there.

    Raises:
        UsageError: a contract does not use the domain, or a run of its is not sealed yet.
        ProofError: the window cannot be closed: something still carries the outgoing version.
        KeyringError, TargetError: see there; what was done stays, and the same command goes on from it.
    """
    with isolated(spark) as own:
        if plans[0].contract.keys.spill == "encrypted":
            demand_encryption(own)
        keys = open_keys(plans[0].contract.keys)
        tables = [_Table(own, plan, keys, domain, progress) for plan in plans]
        for table in tables:
            table.check(plans[0])
        if not finish:
            keys.rotate(domain)
        new, old = keys.current(domain), keys.window(domain)
        if old is None:
            raise UsageError(f"domain '{domain}' has no rotation under way: begin one without --finish")
        for number, table in enumerate(tables, 1):
            table.bring_over(old, new, f"[{number}/{len(tables)}]")
        carriers = [carrier for table in tables for carrier in table.carriers(old, new)]
        if finish:
            if blocking := [carrier for carrier in carriers if carrier.blocks]:
                told = "; ".join(f"{one.place} column '{one.column}' ({one.remedy})" for one in blocking)
                raise ProofError(f"domain '{domain}' version {old} is still carried: {told}. The window stays open")
            for table in tables:
                table.drop_shadows()
            keys.close_window(domain)
        return Rotated(domain, old, new, not finish, tuple(carriers))


class _Table:
    """One contract's target, quarantine and vaults."""

    def __init__(self, spark: SparkSession, plan: Plan, keys: Keyring, domain: str, progress: Progress) -> None:
        self.spark, self.plan, self.contract, self.keys = spark, plan, plan.contract, keys
        self.domain, self.progress = domain, progress
        self._source: DataFrame | None = None

    def check(self, first: Plan) -> None:
        contract = self.contract
        if self.domain not in contract.domains:
            raise UsageError(
                f"contract '{contract.contract}' does not use domain '{self.domain}': it uses {', '.join(contract.domains)}"
            )
        if contract.keys.model_dump(exclude={"domain"}) != first.contract.keys.model_dump(exclude={"domain"}):
            raise UsageError(f"contract '{contract.contract}' has another keyring than '{first.contract.contract}'")
        if not delta.exists(self.spark, contract.target):
            return
        newest = next((one for one in delta.history(self.spark, contract.target) if "run_id" in one.metadata), None)
        if newest is None or "step" in newest.metadata:
            return
        if ledger.find(self.spark, contract.ledger_location, newest.metadata["run_id"], contract.target) is None:
            raise UsageError(
                f"{contract.target}: run '{newest.metadata['run_id']}' is not sealed yet: publish again with this --run-id first"
            )

    def places(self) -> list[Location]:
        return [place for place in self.contract.row_tables if delta.exists(self.spark, place)]

    def source(self) -> DataFrame | None:
        """The raw rows that tokens are explained by; None where they are gone."""
        if self._source is None:
            try:
                raw = pin(self.spark, self.contract.source).frame
                self._source = repaired(self.spark, self.contract, raw)
                if self.contract.treat.changes:  # what stood there before is kept as well
                    fields = self._source.schema.fields
                    self._source = self._source.unionByName(
                        raw.select(*(column(field.name).cast(field.dataType).alias(field.name) for field in fields))
                    )
            except Exception:
                return None  # the tokens stay, and the report names them
        return self._source

    def step(self, place: Location, old: int, new: int) -> tuple[Step, DataFrame, int]:
        """The step that a table has to take, its newest version and rows."""
        version = delta.latest_version(self.spark, place)
        live = live_versions(self.spark, self.contract, place, version)
        frame = delta.read(self.spark, place, version)
        return Step(self.contract, self.keys, self.domain, old, new, live), frame, version

    def bring_over(self, old: int, new: int, mark: str) -> None:
        for table in tables_of(self.spark, self.contract, self.domain):
            table.rekey(self.keys, self.domain, old, new)
        for place in self.places():
            began = time.perf_counter()
            self.sealed_if_not(place)
            step, frame, version = self.step(place, old, new)
            carried = step.carried(frame)
            if not carried:
                self.progress(f"  {mark} {place}: nothing carries version {old}")
                continue
            ready = step.moved(self.spark, frame, self.source())
            self.replaced(place, ready, version, {"step": f"{self.domain} v{old} -> v{new}"}, step)
            columns = ", ".join(f"{name} ({count:,})" for name, count in carried.items())
            self.progress(f"  {mark} {place}: {columns}; {time.perf_counter() - began:.1f} s")

    def replaced(
        self, place: Location, ready: DataFrame, read: int, metadata: dict[str, Any], step: Step | None
    ) -> None:
        made = self.protections(ready, step)
        metadata = {
            "contract": self.contract.contract,
            "contract_sha256": self.plan.sha256,
            "protections": made,
            "key_versions": {one["column"]: f"{one['domain']} v{one['key_version']}" for one in made},
            "read": read,
            **metadata,
        }
        statistics = statistics_columns(self.contract, ready) if place == self.contract.target else []
        run_id = f"rotate-{uuid.uuid4().hex[:12]}"
        commits.replace_all(self.spark, ready, place, run_id, metadata, statistics, read)
        self.sealed_if_not(place)

    def protections(self, ready: DataFrame, step: Step | None) -> list[dict[str, Any]]:
        """What the table's columns are protected by from now on; only those with keys."""
        made = []
        live = {} if step is None else step.columns(ready)
        beside = {} if step is None else step.shadows(ready)
        for field in ready.schema.fields:
            line = self.contract.column(field.name)
            kind = OPERATORS[line.protect.op]
            if kind.purpose is None:
                continue
            domain = self.contract.domain(line)
            version = self.keys.newest(domain)
            if field.name in beside.values() and step is not None:
                version = step.old
            elif step is not None and domain == self.domain and field.name not in live and not line.protect.entered:
                version = step.old  # what this step cannot bring over
            made.append({"column": field.name, "class_": line.class_, "protection": line.protect.op, "stage": "arrow",
                         "domain": domain, "key_version": version})  # fmt: skip
        return made

    def sealed_if_not(self, place: Location) -> None:
        """Seal the target's newest version if a step of a rotation made it and was killed before it was sealed."""
        if place != self.contract.target:
            return
        newest = delta.history(self.spark, place, limit=1)[0]
        told = newest.metadata
        if (
            "step" not in told
            or ledger.find(self.spark, self.contract.ledger_location, told["run_id"], place) is not None
        ):
            return
        rows = {"in": newest.rows, "published": newest.rows, "quarantined": 0, "dropped": 0}
        source = {
            "described": f"{place} version {told['read']}, {told['step']}",
            "version": told["read"],
            "sha256": None,
        }
        seal_version(self.spark, self.contract, self.plan.sha256, self.keys, told["run_id"], newest.version, source=source,
                     verdicts=[], rows=rows, protections=told["protections"], quarantine=None)  # fmt: skip

    def carriers(self, old: int, new: int) -> list[Carrier]:
        """What still carries the outgoing version."""
        found = []
        for table in tables_of(self.spark, self.contract, self.domain):
            if rows := table.carries(old):
                found.append(Carrier(table.path, "sealed", rows, "rotate again"))
        for place in self.places():
            step, frame, _ = self.step(place, old, new)
            for name, rows in step.carried(frame).items():
                found.append(
                    Carrier(str(place), name, rows, "the source no longer has these values: publish them again")
                )
            told = {*step.columns(frame), *step.shadows(frame).values()}
            for name in [name for name, versions in step.live.items() if old in versions and name not in told]:
                line = self.contract.line(name.partition(".")[0], tuple(name.split(".")[1:]))
                if not line.protect.entered and self.contract.domain(line) == self.domain:
                    remedy = f"{line.protect.op} cannot be brought over there: publish the table again"
                    found.append(Carrier(str(place), name, None, remedy))
        return found + self.past(old)

    def past(self, old: int) -> list[Carrier]:
        """Older versions of the target, which Delta still has."""
        place = self.contract.target
        if not delta.exists(self.spark, place):
            return []
        newest = delta.latest_version(self.spark, place)
        uses = [use for use in key_uses(self.spark, self.contract) if (use.domain, use.version) == (self.domain, old)]
        past = {number for use in uses for numbers in use.columns.values() for number in numbers if number < newest}
        remedy = f"{len(past)} older version(s) of the table; keep version {old} of the key enabled, or vacuum"
        return [Carrier(str(place), "*", None, remedy, blocks=False)] if past else []

    def drop_shadows(self) -> None:
        for place in self.places():
            version = delta.latest_version(self.spark, place)
            frame = delta.read(self.spark, place, version)
            ready = without_shadows(self.contract, frame)
            if len(ready.columns) < len(frame.columns):
                self.replaced(place, ready, version, {"step": f"{self.domain}: window closed"}, None)
                self.progress(f"  {place}: {len(frame.columns) - len(ready.columns)} column(s) of the window dropped")
