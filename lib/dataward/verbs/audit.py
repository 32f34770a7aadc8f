"""Query the events of a contract, deliver and seal them, compare them with the ledger, and join them with CloudTrail."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataward.access.correlate import Found, Place, correlate, records_in
from dataward.access.site import settings
from dataward.access.spool import Line
from dataward.contract import Contract, Location
from dataward.contract.access import DeltaSink, JsonLinesSink
from dataward.errors import ProofError, UsageError
from dataward.integrity import ledger
from dataward.keys import open_keys
from dataward.pipeline.guard import guarded, watched
from dataward.pipeline.plan import Plan
from dataward.pipeline.trail import EVENTS, Trail, digest_of
from dataward.tables import delta

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Checked", "Filter", "Flushed", "check", "correlated", "events", "flush", "since"]


@dataclass(frozen=True)
class Filter:
    """Conditions on events: a part of the principal's name, contract, verb, outcome, and earliest time."""

    who: str = ""
    table: str = ""
    verb: str = ""
    status: str = ""
    since: datetime | None = None

    def takes(self, event: Mapping[str, Any]) -> bool:
        """Return whether an event fulfils the conditions."""
        own, user = event["unmapped"]["dataward"], event["actor"]["user"]
        about = event.get("table") or event.get("entity") or {}
        groups = [group["name"] for group in user.get("groups", ())]
        return (
            (not self.who or self.who in (user["name"], *groups) or user["name"].endswith(f"/{self.who}"))
            and (not self.table or self.table in (about.get("name"), about.get("uid")))
            and (not self.verb or self.verb == own["verb"])
            and (not self.status or self.status == own["status"])
            and (self.since is None or event["time"] >= self.since.timestamp() * 1000)
        )


def since(text: str) -> datetime:
    """Return a time from ISO 8601 text, or from a duration before now: ``90m``, ``24h``, ``7d``.

    Raises:
        UsageError: it is neither.
    """
    from datetime import timedelta

    units = {"m": "minutes", "h": "hours", "d": "days"}
    try:
        if text[:-1].isdecimal() and text[-1:] in units:
            return datetime.now(timezone.utc) - timedelta(**{units[text[-1]]: int(text[:-1])})
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except (ValueError, OverflowError):
        raise UsageError(f"'{text}': write a time such as 2026-11-25T10:00:00+00:00, or a length such as 24h") from None
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


def _trail(plan: Plan) -> Trail:
    audit = settings(plan.contract).audit
    if audit is None:
        raise UsageError(f"contract '{plan.name}' keeps no events: add audit: {{sinks: [{{kind: jsonl, path: FILE}}]}}")
    return Trail(audit, plan.contract)


def needs_spark(plan: Plan) -> bool:
    """Return whether the events are stored only in tables that Spark reads."""
    return not any(isinstance(sink, JsonLinesSink) for sink in _trail(plan).audit.sinks) and any(
        isinstance(sink, DeltaSink) for sink in _trail(plan).audit.sinks
    )


@guarded("audit")
def events(spark: SparkSession | None, plan: Plan, wanted: Filter) -> list[dict[str, Any]]:
    """Return the events that pass a filter, by time: from the first readable sink, and from the spool.

    Raises:
        UsageError: the contract has no audit.
    """
    return [event for event in _events(spark, plan) if wanted.takes(event)]


def _events(spark: SparkSession | None, plan: Plan) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for line in _lines(spark, plan):
        event = json.loads(line.text)
        found.setdefault(event["metadata"]["uid"], event)
    return sorted(found.values(), key=lambda event: (event["time"], event["metadata"]["sequence"]))


def _lines(spark: SparkSession | None, plan: Plan) -> Iterator[Line]:
    """Yield the events of a sink, and those in the spool."""
    trail = _trail(plan)
    for sink in trail.audit.sinks:
        if isinstance(sink, JsonLinesSink) and Path(sink.path).exists():
            text = (
                Path(sink.path).read_bytes().decode("ascii", errors="replace")
            )  # events are ASCII; other bytes show as changed
            yield from _parsed(text.splitlines(), sink.path)
            break
        if isinstance(sink, DeltaSink) and spark is not None and delta.exists(spark, Location(path=sink.path)):
            place = Location(path=sink.path)
            rows = delta.read(spark, place, delta.latest_version(spark, place)).select("event").collect()
            yield from _parsed([row.event for row in rows], sink.path)
            break
    yield from trail.spool.after(0, 10_000_000)


def _parsed(texts: Iterable[str], where: str) -> Iterator[Line]:
    for number, text in enumerate(texts, start=1):
        try:
            parsed = json.loads(text)
            line = Line(parsed["metadata"]["sequence"], parsed["time"], text)
            names = [parsed["metadata"][name] for name in ("uid", "log_name")]
            names += [parsed["actor"]["user"]["name"], parsed["unmapped"]["dataward"]["verb"]]
            if {*map(type, names)} != {str} or {type(line.sequence), type(line.time)} != {int}:
                raise TypeError
        except (ValueError, KeyError, TypeError):
            raise ProofError(f"{where}: line {number} is no event: it was changed") from None
        yield line


@dataclass(frozen=True)
class Flushed:
    """Result of ``flush``: recorded killed verbs, problems of sinks, and the ledger's entry of the digest."""

    recovered: int
    troubles: tuple[str, ...]
    entry: int | None = None


def flush(spark: SparkSession | None, plan: Plan, seal: bool = False) -> Flushed:
    """Record killed verbs and deliver waiting events to every sink; with ``seal``, enter the digest of new events in the ledger."""
    with watched("audit_seal" if seal else "audit_flush", spark=spark, contract=plan.contract) as finish:
        done = _flushed(spark, plan, seal)
        finish(done)
        return done


def _flushed(spark: SparkSession | None, plan: Plan, seal: bool) -> Flushed:
    trail = _trail(plan)
    recovered = trail.spool.recover()
    troubles = trail.flush(spark)
    entry = trail.seal() if seal else None
    return Flushed(recovered, tuple(troubles), entry)


@dataclass(frozen=True)
class Checked:
    """Events compared with their digests in the ledger.

    Attributes:
        batches: digests in the ledger.
        events: events that the digests cover.
        open: events after the last digest, which cannot be checked yet.
        flaws: missing or changed events.
    """

    batches: int
    events: int
    open: int
    flaws: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether every sealed event exists unchanged."""
        return not self.flaws


@dataclass(frozen=True)
class Batch:
    """A digest of events in the ledger."""

    spool: str
    first: int
    last: int
    sha256: str


@guarded("audit")
def check(spark: SparkSession | None, plan: Plan) -> Checked:
    """Compare the events of a sink with the digests in the ledger, after checking the ledger itself.

    Raises:
        ProofError: there is no ledger.
    """
    place = plan.contract.ledger_location
    found = ledger.flaws(place, open_keys(plan.contract.keys)).flaws
    flaws, batches = [f"ledger: {flaw.message}" for flaw in found], []
    for entry in ledger.entries(place, EVENTS, plan.contract.target):
        try:
            batches.append(Batch(**json.loads(entry.seal_text)))
        except (ValueError, TypeError):
            flaws.append(f"ledger entry {entry.seq}: its statement is missing or was changed")
    return compared(batches, list(_lines(spark, plan)), flaws)


def compared(batches: Iterable[Batch], lines: Iterable[Line], flaws: Iterable[str] = ()) -> Checked:
    """Compare the lines of events with the digests of the ledger; pure."""
    by_spool: dict[str, dict[int, Line]] = {}
    for line in lines:
        name = str(json.loads(line.text)["metadata"]["log_name"]).removeprefix("dataward/")
        by_spool.setdefault(name, {}).setdefault(line.sequence, line)
    made, found = list(batches), list(flaws)
    covered: dict[str, set[int]] = {}
    for batch in made:
        there, wanted = by_spool.get(batch.spool, {}), range(batch.first, batch.last + 1)
        covered.setdefault(batch.spool, set()).update(wanted)
        if missing := [number for number in wanted if number not in there]:
            found.append(f"events {_ranges(missing)} of spool {batch.spool} are missing")
        elif digest_of(there[number] for number in wanted) != batch.sha256:
            found.append(f"events {batch.first} to {batch.last} of spool {batch.spool} are not those that were sealed")
    open_ = sum(number not in covered.get(name, ()) for name, there in by_spool.items() for number in there)
    return Checked(len(made), sum(map(len, covered.values())), open_, tuple(found))


def _ranges(numbers: list[int]) -> str:
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]} ({len(numbers)} of them)"


@guarded("audit")
def correlated(spark: SparkSession | None, plan: Plan, trail: str, slack: float = 60.0) -> Found:
    """Join the events with CloudTrail's records of the contract's tables and keys.

    Args:
        spark: a session, where the events are in a Delta table.
        plan: plan of the contract.
        trail: file or folder of CloudTrail's records.
        slack: see :func:`dataward.access.correlate.correlate`.

    Raises:
        UsageError: no table of the contract is in S3, or the files are not CloudTrail's.
    """
    return correlate(_events(spark, plan), records_in(trail), places_of(plan.contract), slack)


def places_of(contract: Contract) -> Place:
    """Return the S3 prefixes of a contract's tables, and its key domains where the keys are in KMS."""
    paths = [place.path for place in contract.tables.values() if place.path]
    prefixes = [path.partition("://")[2] for path in paths if path.partition("://")[0] in ("s3", "s3a", "s3n")]
    if not prefixes:
        raise UsageError(f"no table of contract '{contract.contract}' is at s3://: CloudTrail records accesses to S3")
    kms = contract.keys.provider == "aws_kms"
    return Place(tuple(prefixes), contract.domains if kms else (), contract.keys.env if kms else "")
