"""Erase a person with a proof: delete or shred, search every remaining byte, and enter the result in the ledger."""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from dataward.contract import Location
from dataward.errors import NotPermitted, TargetError, UsageError
from dataward.integrity import ledger
from dataward.integrity.records import Erasure
from dataward.integrity.seal import code_version
from dataward.keys import open_keys
from dataward.pipeline.content import Change, Sealing, without
from dataward.pipeline.guard import caller, guarded
from dataward.pipeline.heads import PUBLISH, keep_all
from dataward.pipeline.key_uses import live_versions
from dataward.pipeline.plan import Plan
from dataward.pipeline.seal import SealingRun, same_keys, seal_version, signer
from dataward.privacy.erased import Memory
from dataward.privacy.needles import SHORTEST, Needle, at_home, erased, holds
from dataward.privacy.protect.entries import tables_of
from dataward.privacy.protect.shred import key_names
from dataward.privacy.residue import Residue, Searched, common, search
from dataward.privacy.subject import (
    among,
    of_values,
    protected_ids,
    raw_values,
    shared,
    texts_of,
    values_of,
)
from dataward.spark.arrow import arrow_type
from dataward.spark.session import demand_encryption, isolated
from dataward.spark.sql import identifier
from dataward.tables import delta, maintenance, turns
from dataward.tables.source import MALFORMED, pin

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Asked", "Erased", "erase"]

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Asked:
    """The person to erase and the ticket; ``values`` are further values of the person, ``also`` further folders to search.

    ``prove``: only search, and change nothing.
    """

    subject: str
    ticket: str
    values: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    reports: str = "reports"
    prove: bool = False

    def __repr__(self) -> str:
        """Return a text without identifiers."""
        return f"Asked(ticket={self.ticket!r})"


@dataclass(frozen=True)
class Erased:
    """Result of an erasure. ``residues`` name files with remaining values; without any, and with nothing ``unread``, the proof holds.

    ``shredded``: values of at least one table were made unreadable by destroying their key. ``short`` counts values too short to be
    searched inside longer text, ``shared`` those that other people have as well.
    """

    rows: dict[str, int]
    files: int
    bytes: int
    forms: int
    short: int
    shared: int
    residues: tuple[Residue, ...]
    unread: tuple[str, ...]
    source_rows: int
    entries: tuple[int, ...]
    shredded: bool

    @property
    def holds(self) -> bool:
        """Whether nothing remains and everything could be read."""
        return not self.residues and not self.unread


@guarded("erase")
def erase(spark: SparkSession, plans: Sequence[Plan], asked: Asked, progress: Progress = lambda line: None) -> Erased:
    """Erase a person from the tables of these contracts.

    Raises:
        UsageError: a contract names no subject column, or the subject cannot be one.
        NotPermitted: a legal hold or a retention period forbids it; the refusal is entered in the ledger as well.
        TargetError: a table cannot be changed; run it again.
    """
    with isolated(spark) as own:
        own.conf.set("spark.databricks.delta.formatCheck.enabled", "false")  # data files are read without the log
        if any(plan.contract.keys.spill == "encrypted" for plan in plans):
            demand_encryption(own)  # the searched values are sent to the executors
        tables = [_Table(own, plan, asked) for plan in plans]
        for table in tables:
            table.permitted()
        for table in tables:
            table.look()
        needles = _of_this_person(tables)
        for table in tables:
            progress(f"  {table.contract.target}: {table.told}")
        known = {needle.value for needle in needles}
        if not asked.prove:
            for table in tables:
                table.forget()
                progress(f"  {table.contract.target}: {', '.join(f'{n} rows of {p}' for p, n in table.rows.items())}")
        folders = list(dict.fromkeys(folder for table in tables for folder in table.folders()))
        found = search(own, folders, needles)
        redacted: dict[str, list[int]] = {}
        if not asked.prove and found.residues:
            redacted = {str(table.contract.ledger_location): table.redacted(found, needles) for table in tables}
            found = search(own, folders, needles)
        progress(
            f"  searched {found.files:,} files, {found.bytes:,} bytes for {len(known)} values: {len(found.residues)} residues"
        )
        entries = [] if asked.prove else [table.entered(found, redacted) for table in tables]
        keep_all([plan.contract for plan in plans if entries], "the erasure is done and entered", PUBLISH, progress)
        rows = {place: count for table in tables for place, count in table.rows.items()}
        short = sum(len(value) < SHORTEST for value in known)
        source_rows = sum(table.source_rows for table in tables)
        both = sum(table.shared for table in tables)
        return Erased(
            rows,
            found.files,
            found.bytes,
            len(known),
            short,
            both,
            found.residues,
            found.unread,
            source_rows,
            tuple(entries),
            any(table.shredded for table in tables),
        )


class _Table:
    """Places of one contract, and the person's data in them."""

    def __init__(self, spark: SparkSession, plan: Plan, asked: Asked) -> None:
        self.spark, self.plan, self.contract, self.asked = spark, plan, plan.contract, asked
        if self.contract.erasure is None:
            raise UsageError(
                f"contract '{self.contract.contract}' does not say whom a row is about: add erasure: {{subject: COLUMN}}"
            )
        if not delta.exists(spark, self.contract.target):
            raise TargetError(f"{self.contract.target}: there is no table yet. Publish first")
        self.erasure = self.contract.erasure
        self.keys = open_keys(self.contract.keys)
        same_keys(spark, self.contract, self.keys)
        self.run_id = f"erase-{uuid.uuid4().hex[:12]}"
        self.rows: dict[str, int] = {}
        self.needles: list[Needle] = []
        self.shared = self.source_rows = 0
        self.told = self.mark = ""
        self.protected: dict[str, set[str]] = {}
        self.tables = tables_of(spark, self.contract)
        self.source = self._raw()
        kind = "string" if self.source is None else dict(self.source.dtypes).get(self.erasure.subject, "string")
        self.kind = arrow_type(kind)
        self.ids = protected_ids(self.contract, self.keys, asked.subject, self.kind)
        self.memory = Memory(spark, self.contract, self.keys)

    @property
    def shredded(self) -> list[str]:
        """The columns whose values are encrypted under keys of their subjects."""
        return [name for name, line in self.contract.columns.items() if line.protect.shreds]

    @property
    def places(self) -> list[Location]:
        return [place for place in self.contract.row_tables if delta.exists(self.spark, place)]

    def newest(self) -> DataFrame:
        return delta.read(self.spark, self.contract.target, delta.latest_version(self.spark, self.contract.target))

    def mine(self, frame: DataFrame) -> DataFrame:
        """Return the person's rows."""
        return of_values(frame, self.erasure.subject, self.ids)

    def _raw(self) -> DataFrame | None:
        try:
            return pin(self.spark, self.contract.source).frame.drop(MALFORMED)
        except Exception:
            return None  # a missing source contains nobody

    # before any change

    def permitted(self) -> None:
        """Refuse where a hold or a retention period applies, and enter the refusal."""
        why = f"legal hold: {self.erasure.hold}" if self.erasure.hold else ""
        retain = self.erasure.retain
        if not why and retain is not None:
            young = f"{identifier(retain.column)} > date_sub(current_date(), {retain.days})"
            rows = self.mine(self.newest().where(young)).count()
            why = f"{rows} row(s) must be kept for {retain.days} days after '{retain.column}'" if rows else ""
        if why and not self.asked.prove:
            self.run_id = f"erase-{uuid.uuid4().hex[:12]}"
            entry = ledger.append(self.contract.ledger_location, self.keys, self.record("refused", why))
            raise NotPermitted(f"{self.contract.target}: {why}. The ask is entry {entry.seq} of its ledger")

    def look(self) -> None:
        """Collect every value of the person: in all existing data files, in the source, and in decrypted values."""
        contract, subject = self.contract, self.erasure.subject
        protected: dict[str, set[str]] = {subject: set(self.ids)}
        raw: dict[str, set[str]] = {subject: {self.asked.subject}, "given": set(self.asked.values)}
        newest = delta.latest_version(self.spark, contract.target)
        live = live_versions(self.spark, contract, contract.target, newest)
        for place in self.places:
            values = values_of(contract, self.mine(self._as_they_lie(place)))
            _add(protected, texts_of(values))
            _add(raw, raw_values(self.spark, contract, self.keys, values, live))
        if self.source is not None and subject.lower() in {name.lower() for name in self.source.columns}:
            rows = of_values(self.source, subject, [self.asked.subject])
            self.source_rows = rows.count()
            _add(raw, texts_of(values_of(contract, rows)))
        nobody_elses = ("given", subject.lower())
        self.needles = [
            Needle(f"{name} (raw)", value, "" if at_home(name) in nobody_elses else at_home(name))
            for name, values in sorted(raw.items())
            for value in sorted(values)
        ]
        if not self.shredded:  # shredding leaves protected values where they are, as nobody can read them
            raws = {needle.value for needle in self.needles}
            self.needles += [Needle(f"{name} (protected)", value, "" if at_home(name) in nobody_elses else at_home(name))
                             for name, values in sorted(protected.items()) for value in sorted(values - raws)]  # fmt: skip
        self.protected = protected

    def others(self) -> list[DataFrame]:
        """Return the present rows of everybody else."""
        found = [self._of_others(place) for place in self.places]
        if self.source is not None and self.erasure.subject.lower() in {name.lower() for name in self.source.columns}:
            found.append(of_values(self.source, self.erasure.subject, [self.asked.subject], "leftanti"))
        return found

    def without(self, values: set[str]) -> None:
        """Leave out values that other people have as well."""
        kept = [needle for needle in self.needles if needle.value not in values or not needle.home]
        self.shared = len({needle.value for needle in self.needles} - {needle.value for needle in kept})
        self.needles = kept
        self.told = f"{len(self.needles)} values to look for, {self.shared} more that other people have as well"

    def _as_they_lie(self, place: Location) -> DataFrame:
        """Return the rows of all data files below a table, including files that no version references any more."""
        root = maintenance.files(self.spark, delta.location(self.spark, place))
        data = [file.path for file in root if file.path.endswith(".parquet") and "/_delta_log/" not in file.path]
        newest = delta.read(self.spark, place, delta.latest_version(self.spark, place))
        try:
            return (
                self.spark.read.option("mergeSchema", "true").schema(newest.schema).parquet(*data) if data else newest
            )
        except Exception:
            return newest  # files whose types differ: the newest version

    # the erasure

    def forget(self) -> None:
        """Delete rows, or destroy keys. The number of rows is recorded first, so that a rerun of a killed erasure adds them up."""
        metadata = {"run_id": self.run_id, "contract": self.contract.contract, "contract_sha256": self.plan.sha256}
        self.mark = self.memory.remember(self.asked.subject, self.kind)
        begun = self.memory.begun(self.mark)
        states = self.contract.states_location
        if delta.exists(self.spark, states):  # derived from everybody's values: the next run makes them again
            with turns.exclusive(self.spark, states, self.run_id):
                delta.delta_table(self.spark, states).delete()
            maintenance.forget_past(self.spark, states, metadata)
        if self.shredded:
            destroyed = {table: key_names(value for name in names for value in self.protected.get(name, ()))
                         for table, names in self.tables.items()}  # fmt: skip
            found = {table.path: len(table.of_tokens(keys)) for table, keys in destroyed.items()}
            self.rows = self._noted(begun, found)
            for table, keys in destroyed.items():
                table.forget(keys, metadata)
            return
        subject, ids = self.erasure.subject, among(self.spark, self.ids)
        tokens = {table: self._tokens(names) for table, names in self.tables.items()}
        found = {str(place): self.mine(delta.read(self.spark, place, delta.latest_version(self.spark, place))).count()
                 for place in self.places}  # fmt: skip
        found |= {table.path: len(table.of_tokens(mine)) for table, mine in tokens.items()}
        self.rows = self._noted(begun, found)
        change = self._change(begun, found)
        for place in self.places:
            maintenance.delete_rows(self.spark, place, subject, ids, metadata)
        for table, mine in tokens.items():
            table.forget(mine, metadata)
        for place in self.places:
            version = maintenance.forget_past(self.spark, place, metadata)
            if place == self.contract.target:
                self.seal(version, change)

    def _noted(self, begun: dict[str, int], found: dict[str, int]) -> dict[str, int]:
        """Return the number of rows that the whole erasure removes, by place: found now, or by the killed attempt."""
        rows = {place: max(count, begun.get(place, 0)) for place, count in found.items()}
        self.memory.begin(self.mark, rows)
        return rows

    def _tokens(self, names: list[str]) -> set[str]:
        """Return the person's tokens in a vault that nobody else's rows contain."""
        mine = {name: self.protected.get(name, set()) for name in names}
        for place in self.places:
            held = shared(self._of_others(place), mine)
            mine = {name: tokens - held.get(name, set()) for name, tokens in mine.items()}
        return set().union(*mine.values())

    def _of_others(self, place: Location) -> DataFrame:
        newest = delta.read(self.spark, place, delta.latest_version(self.spark, place))
        return of_values(newest, self.erasure.subject, self.ids, "leftanti")

    def _change(self, begun: dict[str, int], found: dict[str, int]) -> Change:
        """Return the change of the target's sealed rows; after a killed attempt that already deleted rows, the sums must be read again."""
        target = self.contract.target
        if target not in self.places or begun.get(str(target), 0) > found[str(target)]:
            return Change(basis="whole")
        domain, version = self.contract.keys.domain, delta.latest_version(self.spark, target)
        sealing = Sealing(self.spark, self.contract, self.keys, domain, self.keys.current(domain), version)
        return without(sealing, self.mine(sealing.read(version)))

    def seal(self, version: int, change: Change) -> None:
        """Seal the newest version, whose log is the only one left."""
        rows = delta.read(self.spark, self.contract.target, version).count()
        gone = self.rows[str(self.contract.target)]
        earlier = ledger.newest_seal(self.contract.ledger_location, self.contract.target)
        source = {
            "described": f"{self.contract.target} without {gone} row(s) of one person",
            "version": None,
            "sha256": None,
        }
        told = {"in": rows + gone, "published": rows, "quarantined": 0, "dropped": gone}
        run = SealingRun(self.contract, self.plan.sha256, self.keys, self.run_id)
        seal_version(self.spark, run, version, change, source=source,
                     verdicts=[], rows=told, protections=earlier.protections if earlier else [], quarantine=None)  # fmt: skip

    def folders(self) -> list[str]:
        """Return all folders that contain, or contained, data of this table."""
        contract = self.contract
        places = {str(place): place for place in (*contract.tables.values(), contract.states_location)}.values()
        roots = [delta.location(self.spark, place) for place in places if delta.exists(self.spark, place)]
        place = contract.ledger_location
        roots += [place.path] if place.path and not delta.exists(self.spark, place) and ledger.exists(place) else []
        return [*roots, f"{self.asked.reports.rstrip('/')}/{contract.contract}", *self.asked.also]

    def redacted(self, found: Searched, needles: list[Needle]) -> list[int]:
        """Remove values from reports, and seals with such values from the ledger; returns the numbers of these entries."""
        values = sorted({needle.value for needle in needles if len(needle.value) >= SHORTEST}, key=len, reverse=True)
        reports = f"/{self.contract.contract}/"
        for path in {one.path for one in found.residues if one.kind == "file" and reports in one.path}:
            data = maintenance.read_bytes(self.spark, path)
            for value in values:
                data = erased(data, value)
            maintenance.replace_bytes(self.spark, path, data)
        place = self.contract.ledger_location
        if not ledger.exists(place):
            return []
        chain = ledger.entries(place)
        holding = [entry.seq for entry in chain if any(holds(entry.seal_text.encode(), value) for value in values)]
        if holding:
            ledger.redact(place, self.keys, self.contract.keys.domain, holding, self.run_id)
        return holding

    def entered(self, found: Searched, redacted: dict[str, list[int]]) -> int:
        place = self.contract.ledger_location
        record = self.record("shred" if self.shredded else "delete", "", found, redacted.get(str(place), []))
        entry = ledger.append(place, self.keys, record)
        self.memory.begin(self.mark, None)
        return entry.seq

    def record(self, method: Any, why: str, found: Searched | None = None, redacted: Sequence[int] = ()) -> Erasure:
        contract, key = self.contract, signer(self.keys, self.contract.keys.domain)
        secret = self.keys.key("erasure", key["domain"], key["version"])
        return Erasure(
            contract=contract.contract,
            run_id=self.run_id,
            target=str(contract.target),
            version=delta.latest_version(self.spark, contract.target),
            time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            who=caller(self.spark, contract).name,
            code=code_version(),
            key=key,
            subject=hmac.digest(secret, self.asked.subject.encode(), "sha256").hex(),
            ticket=self.asked.ticket,
            method=method,
            reason=why,
            rows=self.rows,
            searched={"files": found.files, "bytes": found.bytes, "values": len(self.needles)} if found else {},
            residues=[[one.path, one.kind, one.named, one.inside] for one in found.residues] if found else [],
            redacted=list(redacted),
        )


def _of_this_person(tables: Sequence[_Table]) -> list[Needle]:
    """Return the values to search: of all tables, without those that other people have at the same place of any table."""
    needles = [needle for table in tables for needle in table.needles]
    values = {
        needles[number].value for table in tables for others in table.others() for number in common(others, needles)
    }
    for table in tables:
        table.without(values)
    return [needle for table in tables for needle in table.needles]


def _add(whole: dict[str, set[str]], more: dict[str, set[str]]) -> None:
    for name, values in more.items():
        whole.setdefault(name, set()).update(values)
