"""The trail of events: record a call of a verb in its spool, deliver events to the sinks, enter digests in the ledger."""

from __future__ import annotations

import hashlib
import uuid
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataward.access.events import Begun, Outcome, Subject, event
from dataward.access.sinks import sink_of
from dataward.access.spool import Line, Sink, SinkDown, Spool
from dataward.contract import Audit, Contract
from dataward.errors import DatawardError
from dataward.integrity import ledger
from dataward.integrity.canonical import canonical, sha256
from dataward.keys import open_keys

__all__ = ["EVENTS", "Trail", "digest_of", "subject_of"]

EVENTS = "events"
"""Kind of ledger entries with the digest of a batch of events: spool, first and last sequence, SHA-256 of the lines."""

MACHINE = "_site"
"""Folder of the events of verbs without a contract."""


def subject_of(contract: Contract | None, place: str = "") -> Subject:
    """Return the table of an event."""
    if contract is None:
        return Subject("", place)
    said = sha256(contract.model_dump(mode="json", by_alias=True))  # the same as in a plan and a seal
    return Subject(contract.contract, str(contract.target), contract.keys.domain, said)


def digest_of(lines: Iterable[Line]) -> str:
    """Return the SHA-256 of a batch of events for the ledger."""
    whole = hashlib.sha256()
    for line in lines:
        whole.update(line.text.encode() + b"\n")
    return whole.hexdigest()


@dataclass(frozen=True)
class Trail:
    """Events of one contract, or of verbs without a contract."""

    audit: Audit
    contract: Contract | None

    @property
    def spool(self) -> Spool:
        """The spool; a folder of its own for each contract."""
        return Spool(Path(self.audit.spool) / (self.contract.contract if self.contract else MACHINE))

    def begin(self, begun: Begun) -> None:
        """Record that a verb begins.

        Raises:
            TargetError: the spool cannot be written, so the verb must not run.
        """
        self.spool.begin(begun)

    def end(self, begun: Begun, outcome: Outcome, spark: Any = None) -> None:
        """Record the outcome of a verb, and deliver waiting events; a sink that is down receives them later.

        Raises:
            TargetError: the spool cannot be written.
        """
        self.spool.end(event(begun, outcome))
        for trouble in self.flush(spark):
            warnings.warn(f"audit: {trouble}", stacklevel=2)
        with suppress(DatawardError):  # a principal without the signing key or the ledger leaves this to the next one
            self.seal(at_least=self.audit.batch)

    def flush(self, spark: Any = None) -> list[str]:
        """Deliver waiting events to every sink, and return the problems of those that are down."""
        spool, sinks, troubles = self.spool, list[Sink](), list[str]()
        for one in self.audit.sinks:
            try:
                sinks += [sink] if (sink := sink_of(one, spark)) else []
            except SinkDown as missing:
                troubles.append(f"{missing}; events wait in {spool.folder}")
        for sink in sinks:
            try:
                spool.deliver(sink)
            except SinkDown as down:
                troubles.append(
                    f"{down}; {spool.waiting(sink):,} event(s) wait in {spool.folder} and are sent by the next verb"
                )
            except Exception as error:  # a failing sink must not undo the verb
                troubles.append(
                    f"{sink.name}: {type(error).__name__}; {spool.waiting(sink):,} event(s) wait in {spool.folder}"
                )
        if not troubles and len(sinks) == len(self.audit.sinks):
            spool.prune(sinks)
        return troubles

    def seal(self, at_least: int = 1) -> int | None:
        """Enter the digest of new events in the ledger, and return the entry; None where there are fewer than asked.

        Raises:
            DatawardError: the signing key or the ledger is out of reach.
        """
        spool, contract = self.spool, self.contract
        if contract is None or spool.last() - spool.sealed < at_least:
            return None
        lines = spool.unsealed()
        if not _whole(lines):
            return None
        said = {"spool": spool.id, "first": lines[0].sequence, "last": lines[-1].sequence, "sha256": digest_of(lines)}
        about = ledger.About(f"events-{uuid.uuid4().hex[:12]}", contract.target)
        keys = open_keys(contract.keys)
        entry = ledger.record(
            contract.ledger_location, keys, contract.keys.domain, EVENTS, canonical(said).encode(), about
        )
        spool.seal(lines[-1].sequence)
        return entry.seq


def _whole(lines: Sequence[Line]) -> bool:
    return bool(lines) and lines[-1].sequence - lines[0].sequence == len(lines) - 1
