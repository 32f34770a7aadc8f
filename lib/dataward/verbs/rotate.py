"""Rotate the key of a domain: a new version for new writes, conversion of every table, and complete joins meanwhile.

``rotate`` opens the window. Until ``finish`` closes it, every write and every converted table has, beside each joining
column, its values under the outgoing version (``email__v1``). Each table gets one sealed Delta version;
the same command resumes a killed rotation.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.contract import Location
from dataward.contract.reserved import ROW_ID
from dataward.errors import ProofError, UsageError
from dataward.integrity import ledger
from dataward.integrity.seal import Seal
from dataward.keys import Keyring, open_keys
from dataward.pipeline.content import ENCODINGS, Change, Sealing, commit_mac, verified
from dataward.pipeline.guard import guarded
from dataward.pipeline.heads import RERUN, keep_all
from dataward.pipeline.key_uses import by_column, key_uses, live_versions, seals_and_commits
from dataward.pipeline.plan import Plan
from dataward.pipeline.repair import repaired
from dataward.pipeline.seal import SealingRun, same_keys, seal_version
from dataward.pipeline.watch import Watch
from dataward.privacy.erased import Memory
from dataward.privacy.protect import arrow_schema, key_of, statistics_columns
from dataward.privacy.protect.compiled import FALLBACK, uses
from dataward.privacy.protect.entries import tables_of
from dataward.privacy.retokenise import Step, without_shadows
from dataward.spark.session import demand_encryption, isolated
from dataward.spark.sql import column
from dataward.tables import commits, delta
from dataward.tables.source import pin

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Carrier", "Rotated", "rotate"]

Progress = Callable[[str], None]
REPLACED = Change(whole=True)
"""A step of a rotation: it leaves no row unchanged."""


@dataclass(frozen=True)
class Carrier:
    """Dependents of the outgoing version: rows of a column (None: unknown number), or older table versions."""

    place: str
    column: str
    rows: int | None
    remedy: str
    blocks: bool = True


@dataclass(frozen=True)
class Rotated:
    """``window``: whether it is still open. ``carriers`` with ``blocks`` prevent its closing."""

    domain: str
    old: int
    new: int
    window: bool
    carriers: tuple[Carrier, ...]


@guarded("rotate")
def rotate(
    spark: SparkSession,
    domain: str,
    plans: Sequence[Plan],
    finish: bool = False,
    progress: Progress = lambda line: None,
) -> Rotated:
    """Convert the tables of these contracts to a new key version of a domain, or close the window after the last table.

    Raises:
        UsageError: a contract does not use the domain, or has a run that is not sealed yet.
        ProofError: the window cannot be closed: something still depends on the outgoing version.
        KeyringError, TargetError: see there; finished steps stay, and the same command resumes.
    """
    with isolated(spark) as own:
        if plans[0].contract.keys.spill == "encrypted":
            demand_encryption(own)
        keys = open_keys(plans[0].contract.keys)
        for plan in plans:
            same_keys(own, plan.contract, keys)
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
                places = "; ".join(f"{one.place} column '{one.column}' ({one.remedy})" for one in blocking)
                raise ProofError(f"domain '{domain}' version {old} is still carried: {places}. The window stays open")
            for table in tables:
                table.drop_shadows(old, new)
            keys.close_window(domain)
        keep_all([plan.contract for plan in plans], "the rotation is done so far", RERUN, progress)
        return Rotated(domain, old, new, not finish, tuple(carriers))


class _Table:
    """One contract's target, quarantine and vaults."""

    def __init__(self, spark: SparkSession, plan: Plan, keys: Keyring, domain: str, progress: Progress) -> None:
        self.spark, self.plan, self.contract, self.keys = spark, plan, plan.contract, keys
        self.domain, self.progress = domain, progress
        self._source: DataFrame | None = None
        self.memory = Memory(spark, plan.contract, keys)

    def check(self, first: Plan) -> None:
        """Refuse a rotation that cannot be completed, before any change."""
        contract = self.contract
        if self.domain not in contract.domains:
            raise UsageError(
                f"contract '{contract.contract}' does not use domain '{self.domain}': it uses {', '.join(contract.domains)}"
            )
        if contract.keys.model_dump(exclude={"domain"}) != first.contract.keys.model_dump(exclude={"domain"}):
            raise UsageError(f"contract '{contract.contract}' has another keyring than '{first.contract.contract}'")
        if not delta.exists(self.spark, contract.target):
            raise UsageError(
                f"{contract.target}: there is no table yet, so there is nothing to bring over. Publish contract "
                f"'{contract.contract}' first, or leave it out"
            )
        newest = next((one for one in delta.history(self.spark, contract.target) if "run_id" in one.metadata), None)
        if newest is None or "step" in newest.metadata:
            return
        if ledger.find(contract.ledger_location, newest.metadata["run_id"], contract.target) is None:
            raise UsageError(
                f"{contract.target}: run '{newest.metadata['run_id']}' is not sealed yet: publish again with this --run-id first"
            )

    @property
    def forgets(self) -> bool:
        """Whether the table remembers erased subjects under this domain's key."""
        return self.memory.domain == self.domain and self.memory.exists()

    def places(self) -> list[Location]:
        return [place for place in self.contract.row_tables if delta.exists(self.spark, place)]

    def source(self) -> DataFrame | None:
        """Return the raw rows that explain tokens; None if they are not available."""
        if self._source is None:
            try:
                raw = pin(self.spark, self.contract.source).frame
                self._source = repaired(self.spark, self.contract, raw)
                if self.contract.treat.changes:  # the values before repairs are kept as well
                    fields = self._source.schema.fields
                    self._source = self._source.unionByName(
                        raw.select(*(column(field.name).cast(field.dataType).alias(field.name) for field in fields))
                    )
            except Exception:
                return None  # the tokens stay, and the report lists them
        return self._source

    def step(self, place: Location, old: int, new: int) -> tuple[Step, DataFrame, int]:
        """Return the next step of a table, with its newest version and rows."""
        version = delta.latest_version(self.spark, place)
        live = live_versions(self.spark, self.contract, place, version)
        frame = delta.read(self.spark, place, version)
        return Step(self.contract, self.keys, self.domain, old, new, live), frame, version

    def bring_over(self, old: int, new: int, mark: str) -> None:
        for table in tables_of(self.spark, self.contract, self.domain):
            table.rekey(self.keys, self.domain, old, new)
        if self.forgets:
            self.memory.rekey(old, new)
        for place in self.places():
            began = time.perf_counter()
            self.sealed_if_not(place)
            step, frame, version = self.step(place, old, new)
            carried = step.carried(frame)
            if not carried:
                self.progress(f"  {mark} {place}: nothing that can be brought over carries version {old}")
                continue
            ready = step.moved(self.spark, frame, self.source())
            made = self.protections(ready, step, step.shown(ready))
            self.replaced(place, ready, version, {"step": f"{self.domain} v{old} -> v{new}"}, made)
            columns = ", ".join(f"{name} ({count:,})" for name, count in carried.items())
            self.progress(f"  {mark} {place}: {columns}; {time.perf_counter() - began:.1f} s")
        self.seal_again(old)

    def seal_again(self, old: int) -> None:
        """Seal the newest version under the new key where no value had to be converted, so that the new key verifies it.

        Raises:
            ProofError: the version differs from its seal.
        """
        target = self.contract.target
        version = delta.latest_version(self.spark, target)
        seals, _ = seals_and_commits(self.spark, self.contract)
        earlier = seals[max(seals)] if seals else None
        if earlier is None or (earlier.key["domain"], earlier.key["version"]) != (self.domain, old):
            return
        self.as_sealed(earlier, version)
        source = {
            "described": f"{target} version {version}, sealed under another key",
            "version": version,
            "sha256": None,
        }
        rows = earlier.content.rows
        counts = {"in": rows, "published": rows, "quarantined": 0, "dropped": 0}
        change = Change(basis=version, changed=earlier.content.changed)
        seal_version(self.spark, self.run(f"reseal-{uuid.uuid4().hex[:12]}"), version, change,
                     source=source, verdicts=[], rows=counts, protections=earlier.protections, quarantine=None)  # fmt: skip

    def run(self, run_id: str) -> SealingRun:
        """Return the run for a seal."""
        return SealingRun(self.contract, self.plan.sha256, self.keys, run_id)

    def as_sealed(self, seal: Seal, version: int) -> None:
        """Raise ProofError where a version of the target differs from a seal, so that it must not be sealed again."""
        target = self.contract.target
        if seal.content.encoding not in ENCODINGS:
            raise ProofError(
                f"{target}: version {seal.version} was sealed by another Dataward (row encoding {seal.content.encoding}, here "
                f"{ENCODINGS[-1]}), so it cannot be verified; publish contract '{self.contract.contract}' once more, then rotate"
            )
        if not verified(self.keys, seal, delta.read(self.spark, target, version)):
            raise ProofError(
                f"{target}: it is not as it was sealed, so it is not sealed under version {self.keys.newest(self.domain)}. See "
                "dataward verify"
            )

    def replaced(
        self, place: Location, ready: DataFrame, read: int, metadata: dict[str, Any], made: list[dict[str, Any]]
    ) -> None:
        metadata = {
            "contract": self.contract.contract,
            "contract_sha256": self.plan.sha256,
            "protections": made,
            "key_versions": by_column(made),
            "read": read,
            **metadata,
        }
        statistics = tuple(statistics_columns(self.contract, ready)) if place == self.contract.target else ()
        run_id = f"rotate-{uuid.uuid4().hex[:12]}"
        if place != self.contract.target:
            commits.replace_all(self.spark, ready, place, commits.Transaction(run_id, metadata, statistics), read)
            return
        if seal := ledger.newest_seal(self.contract.ledger_location, place):
            self.as_sealed(seal, read)
        metadata["mac"] = commit_mac(self.sealing(0).secret, self.contract, run_id, metadata)
        with Watch(self.spark, self.sealing(0).secret) as watch:
            transaction = commits.Transaction(run_id, metadata, statistics)
            commit = commits.replace_all(self.spark, ready, place, transaction, read, watch.through)
            change = watch.change(self.sealing(commit.version), commit)
        self.sealed_if_not(place, change)

    def sealing(self, version: int) -> Sealing:
        """Return the inputs for sealing a version of the target."""
        domain = self.contract.keys.domain
        return Sealing(self.spark, self.contract, self.keys, domain, self.keys.current(domain), version)

    def protections(self, ready: DataFrame, step: Step, left: dict[str, int]) -> list[dict[str, Any]]:
        """Return the protections with values in the table, one per key version; ``left`` are unchanged values."""
        made = []
        beside = step.shadows(ready).values()
        stuck = step.stuck(ready)
        for field in arrow_schema(ready.schema):
            for where, operator in uses(self.contract, key_of(self.keys), field):
                assert operator.key is not None  # noqa: S101 - that is what a use is
                domain, place = operator.key.domain, where.partition(FALLBACK)[0]
                versions = {self.keys.newest(domain)}
                if field.name in beside:
                    versions = {step.old}
                elif domain != self.domain:
                    versions = set(step.live.get(where, versions))
                elif not operator.parameters.entered:
                    versions = set(step.live.get(where, {step.old})) if place in stuck else versions
                    versions |= {step.old} if place in left else set()
                made += [{"column": where, "class_": operator.class_, "protection": operator.parameters.op, "stage": "arrow",
                          "domain": domain, "key_version": version} for version in sorted(versions)]  # fmt: skip
        return made

    def sealed_if_not(self, place: Location, change: Change = REPLACED) -> None:
        """Seal the target's newest version if a killed step of a rotation made it without a seal."""
        if place != self.contract.target:
            return
        newest = delta.history(self.spark, place, limit=1)[0]
        said = newest.metadata
        if "step" not in said or ledger.find(self.contract.ledger_location, said["run_id"], place) is not None:
            return
        rows = {"in": newest.rows, "published": newest.rows, "quarantined": 0, "dropped": 0}
        source = {
            "described": f"{place} version {said['read']}, {said['step']}",
            "version": said["read"],
            "sha256": None,
        }
        seal_version(self.spark, self.run(said["run_id"]), newest.version, change,
                     source=source, verdicts=[], rows=rows, protections=said["protections"], quarantine=None)  # fmt: skip

    def carriers(self, old: int, new: int) -> list[Carrier]:
        """Return everything that still depends on the outgoing version."""
        found = []
        for table in tables_of(self.spark, self.contract, self.domain):
            if rows := table.carries(old):
                found.append(Carrier(table.path, "sealed", rows, "rotate again"))
        if self.forgets and (rows := self.memory.carries(old)):
            found.append(Carrier(str(self.memory.place), "secret", rows, "rotate again"))
        for place in self.places():
            step, frame, _ = self.step(place, old, new)
            for name, rows in step.carried(frame).items():
                found.append(Carrier(str(place), name, rows, self.remedy(place)))
            for name, operator in step.stuck(frame).items():
                again = (
                    "publish the table again (mode overwrite)" if place == self.contract.target else self.remedy(place)
                )
                found.append(Carrier(str(place), name, None, f"{operator} cannot be brought over there: {again}"))
            found += self.waiting(place, frame, old)
        return found + self.past(old)

    def remedy(self, place: Location) -> str:
        """Return the remedy for values that the source does not explain."""
        if place == self.contract.quarantine_location:
            return "the source no longer has these values: take the rows out (dataward quarantine discard), or restore the source"
        if place == self.contract.changes_location:
            return f"the source no longer has these values: restore the source, or delete the rows from {place}"
        return "the source no longer has these values: publish them again"

    def waiting(self, place: Location, frame: DataFrame, old: int) -> list[Carrier]:
        """Return quarantined rows whose IDs depend on the outgoing version, without which they cannot be released."""
        from pyspark.sql import functions as F

        if place != self.contract.quarantine_location or self.contract.keys.domain != self.domain:
            return []
        rows = int(frame.where(F.col(ROW_ID).startswith(f"v{old}.")).count()) if ROW_ID in frame.columns else 0
        remedy = f"keep version {old} of the key enabled until these rows are released or discarded"
        return [Carrier(str(place), ROW_ID, rows, remedy, blocks=False)] if rows else []

    def past(self, old: int) -> list[Carrier]:
        """Return older versions of the target that Delta still has."""
        place = self.contract.target
        if not delta.exists(self.spark, place):
            return []
        newest = delta.latest_version(self.spark, place)
        uses = [use for use in key_uses(self.spark, self.contract) if (use.domain, use.version) == (self.domain, old)]
        past = {number for use in uses for numbers in use.columns.values() for number in numbers if number < newest}
        remedy = f"{len(past)} older version(s) of the table; keep version {old} of the key enabled, or vacuum"
        return [Carrier(str(place), "*", None, remedy, blocks=False)] if past else []

    def drop_shadows(self, old: int, new: int) -> None:
        for place in self.places():
            step, frame, version = self.step(place, old, new)
            ready = without_shadows(self.contract, frame)
            if len(ready.columns) < len(frame.columns):
                made = self.protections(ready, step, {})
                self.replaced(place, ready, version, {"step": f"{self.domain}: window closed"}, made)
                self.progress(f"  {place}: {len(frame.columns) - len(ready.columns)} column(s) of the window dropped")
