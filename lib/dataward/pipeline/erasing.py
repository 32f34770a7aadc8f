"""The stages of an erasure after the search: permit, forget, redact, enter. Each takes and returns frozen data."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from dataward.errors import NotPermitted
from dataward.integrity import ledger
from dataward.integrity.digest import Sum
from dataward.integrity.records import Erasure
from dataward.integrity.seal import code_version
from dataward.pipeline.content import Change, without
from dataward.pipeline.guard import caller
from dataward.pipeline.person import Opened, Person
from dataward.pipeline.seal import SealingRun, seal_version, signer
from dataward.privacy.erased import Memory
from dataward.privacy.needles import SHORTEST, Needle, erased, holds
from dataward.privacy.protect.shred import key_names
from dataward.privacy.residue import Searched
from dataward.privacy.subject import among, shared
from dataward.spark.sql import identifier
from dataward.tables import delta, maintenance, turns

__all__ = ["Forgotten", "enter", "folders", "forget", "permitted", "redact"]


@dataclass(frozen=True)
class Forgotten:
    """The rows that the whole erasure removes, by place, and the person's entry among the erased subjects."""

    rows: Mapping[str, int] = field(default_factory=dict)
    mark: str = field(default="", repr=False)


def permitted(tables: Opened) -> None:
    """Refuse where a hold or a retention period applies, and enter the refusal.

    Raises:
        NotPermitted: it names the entry.
    """
    erasure = tables.erasure
    why = f"legal hold: {erasure.hold}" if erasure.hold else ""
    if not why and erasure.retain is not None:
        young = f"{identifier(erasure.retain.column)} > date_sub(current_date(), {erasure.retain.days})"
        rows = int(tables.mine(tables.newest(tables.contract.target).where(young)).count())
        why = (
            f"{rows} row(s) must be kept for {erasure.retain.days} days after '{erasure.retain.column}'" if rows else ""
        )
    if why and not tables.asked.prove:
        refused = _record(tables, "refused", why)
        entry = ledger.append(tables.contract.ledger_location, tables.keys, refused)
        raise NotPermitted(f"{tables.contract.target}: {why}. The ask is entry {entry.seq} of its ledger")


def forget(person: Person) -> Forgotten:
    """Delete rows, or destroy keys. The number of rows is recorded first, so that a rerun of a killed erasure adds them up."""
    tables, spark = person.tables, person.tables.spark
    mark = tables.memory.remember(tables.asked.subject, tables.kind)
    states = tables.contract.states_location
    if delta.exists(spark, states):  # derived from everybody's values: the next run makes them again
        with turns.exclusive(spark, states, tables.run_id):
            delta.delta_table(spark, states).delete()
        maintenance.forget_past(spark, states, tables.metadata)
    return Forgotten(_shred(person, mark) if tables.shredded else _delete(person, mark), mark)


def _shred(person: Person, mark: str) -> dict[str, int]:
    tables, protected = person.tables, person.protected
    destroyed = {table: key_names(value for name in names for value in protected.get(name, ()))
                 for table, names in tables.vaults.items()}  # fmt: skip
    rows = _noted(tables.memory, mark, {table.path: len(table.of_tokens(keys)) for table, keys in destroyed.items()})
    for table, keys in destroyed.items():
        table.forget(keys, tables.metadata)
    return rows


def _delete(person: Person, mark: str) -> dict[str, int]:
    """Delete the person's rows, seal the version without them, and remove all earlier versions."""
    tables, spark, target = person.tables, person.tables.spark, person.tables.contract.target
    tokens = {table: _tokens(person, names) for table, names in tables.vaults.items()}
    found = {str(place): int(tables.mine(tables.newest(place)).count()) for place in tables.places}
    found |= {table.path: len(table.of_tokens(mine)) for table, mine in tokens.items()}
    rows = _noted(tables.memory, mark, found)
    change = _change(tables)
    ids = among(spark, tables.ids)
    for place in tables.places:
        maintenance.delete_rows(spark, place, tables.erasure.subject, ids, tables.metadata)
    if target in tables.places:
        # Sealed while the removed rows are still known: a killed erasure then never takes over what others change meanwhile.
        _seal(tables, delta.latest_version(spark, target), rows[str(target)], change)
    for table, mine in tokens.items():
        table.forget(mine, tables.metadata)
    for place in sorted(tables.places, key=target.__eq__):  # the target last: its seal attests the tables beside it
        version = maintenance.forget_past(spark, place, tables.metadata)
        if place == target:
            _seal(tables, version, rows[str(target)], Change(added=Sum(), removed=Sum()))
    return rows


def _noted(memory: Memory, mark: str, found: dict[str, int]) -> dict[str, int]:
    """Return the number of rows that the whole erasure removes, by place: found now, or by the killed attempt."""
    begun = memory.begun(mark)
    rows = {place: max(count, begun.get(place, 0)) for place, count in found.items()}
    memory.begin(mark, rows)
    return rows


def _tokens(person: Person, names: list[str]) -> set[str]:
    """Return the person's tokens in a vault that nobody else's rows contain."""
    mine = {name: person.protected.get(name, set()) for name in names}
    for place in person.tables.places:
        held = shared(person.tables.of_others(place), mine)
        mine = {name: tokens - held.get(name, set()) for name, tokens in mine.items()}
    return set().union(*mine.values())


def _change(tables: Opened) -> Change:
    """Return the change of the target's sealed rows; the delete of a killed attempt is a commit of ours that it follows from."""
    sealing = tables.sealing(delta.latest_version(tables.spark, tables.contract.target))
    return without(sealing, tables.mine(sealing.read(sealing.version)))


def _seal(tables: Opened, version: int, gone: int, change: Change) -> None:
    contract, spark = tables.contract, tables.spark
    rows = int(delta.read(spark, contract.target, version).count())
    earlier = ledger.newest_seal(contract.ledger_location, contract.target)
    if earlier is not None and earlier.version == version and earlier.run_id == tables.run_id:
        return  # nothing was left to be removed
    described = f"{contract.target} without {gone} row(s) of one person"
    counts = {"in": rows + gone, "published": rows, "quarantined": 0, "dropped": gone}
    run = SealingRun(contract, tables.plan.sha256, tables.keys, tables.run_id)
    seal_version(spark, run, version, change, source={"described": described, "version": None, "sha256": None},
                 verdicts=[], rows=counts, protections=earlier.protections if earlier else [], quarantine=None)  # fmt: skip


def folders(tables: Opened) -> list[str]:
    """Return all folders that contain, or contained, data of these tables."""
    contract, spark, asked = tables.contract, tables.spark, tables.asked
    places = {str(place): place for place in (*contract.tables.values(), contract.states_location)}.values()
    roots = [delta.location(spark, place) for place in places if delta.exists(spark, place)]
    place = contract.ledger_location
    roots += [place.path] if place.path and not delta.exists(spark, place) and ledger.exists(place) else []
    return [*roots, f"{asked.reports.rstrip('/')}/{contract.contract}", *asked.also]


def redact(tables: Opened, found: Searched, needles: Sequence[Needle]) -> list[int]:
    """Remove values from reports, and seals with such values from the ledger; returns the numbers of these entries."""
    values = sorted({needle.value for needle in needles if len(needle.value) >= SHORTEST}, key=len, reverse=True)
    reports = f"/{tables.contract.contract}/"
    for path in {one.path for one in found.residues if one.kind == "file" and reports in one.path}:
        data = maintenance.read_bytes(tables.spark, path)
        for value in values:
            data = erased(data, value)
        maintenance.replace_bytes(tables.spark, path, data)
    place = tables.contract.ledger_location
    if not ledger.exists(place):
        return []
    chain = ledger.entries(place)
    holding = [entry.seq for entry in chain if any(holds(entry.seal_text.encode(), value) for value in values)]
    if holding:
        ledger.redact(place, tables.keys, tables.contract.keys.domain, holding, tables.run_id)
    return holding


def enter(person: Person, forgotten: Forgotten, found: Searched, redacted: Sequence[int]) -> int:
    """Enter the record of a finished erasure; returns the number of its entry."""
    tables = person.tables
    record = _record(tables, "shred" if tables.shredded else "delete", "").model_copy(
        update={
            "rows": dict(forgotten.rows),
            "searched": {"files": found.files, "bytes": found.bytes, "values": len(person.needles)},
            "residues": [[one.path, one.kind, one.named, one.inside] for one in found.residues],
            "redacted": list(redacted),
        }
    )
    entry = ledger.append(tables.contract.ledger_location, tables.keys, record)
    tables.memory.begin(forgotten.mark, None)
    return entry.seq


def _record(tables: Opened, method: Any, why: str) -> Erasure:
    contract, key = tables.contract, signer(tables.keys, tables.contract.keys.domain)
    secret = tables.keys.key("erasure", key["domain"], key["version"])
    return Erasure(
        contract=contract.contract,
        run_id=tables.run_id,
        target=str(contract.target),
        version=delta.latest_version(tables.spark, contract.target),
        time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        who=caller(tables.spark, contract).name,
        code=code_version(),
        key=key,
        subject=hmac.digest(secret, tables.asked.subject.encode(), "sha256").hex(),
        ticket=tables.asked.ticket,
        method=method,
        reason=why,
    )
