"""A local folder of events for the sinks: each is written once, in order, and delivered once, in order.

A verb first creates a file in ``open/`` that its process keeps locked. At its end the event is appended to a segment and the file
is removed. An unlocked file belongs to a killed process: the next verb records its event as interrupted.

A cursor for each sink contains the last delivered sequence. Before a batch is sent the cursor names it; this reveals an
interrupted delivery, and the sink is asked for its last event before anything is sent again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from dataward.access.events import Begun, interrupted, line
from dataward.errors import TargetError
from dataward.tables.replacing import replace_file

__all__ = ["Line", "Sink", "SinkDown", "Spool"]

SEGMENT = 1000
"""Events per file of the spool."""


class SinkDown(Exception):
    """A sink does not accept events now; the message contains no event."""


@dataclass(frozen=True)
class Line:
    """One stored event: its sequence in the spool, its time in milliseconds, and its JSON."""

    sequence: int
    time: int
    text: str


class Sink(Protocol):
    """Destination of events. ``mark``: a sink's state between deliveries."""

    @property
    def name(self) -> str:
        """Name for messages; the same configuration has the same name."""

    @property
    def most(self) -> int:
        """Most events of one call."""

    def last(self, spool: str, mark: Any) -> int:
        """Return the highest sequence of a spool in the sink; 0 if it has none."""

    def put(self, spool: str, lines: Sequence[Line], mark: Any) -> Any:
        """Store events in order and return the new mark; raises SinkDown."""


@dataclass
class Spool:
    """The spool in one folder."""

    folder: Path
    _held: dict[str, int] = field(default_factory=dict, repr=False)

    def begin(self, begun: Begun) -> None:
        """Create a locked file about the started verb, after recording verbs whose process was killed.

        Raises:
            TargetError: the folder cannot be written, so the verb must not run.
        """
        try:
            with self._locked():
                self._record_killed()
                path = self._open / f"{begun.uid}.json"
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                _write(descriptor, begun.text().encode())
                self._held[begun.uid] = descriptor
        except OSError as error:
            raise TargetError(
                f"audit spool {self.folder}: {error.strerror or error}. No verb runs that cannot be recorded: make the folder writable, "
                "or correct 'audit.spool'"
            ) from None

    def end(self, fields: dict[str, Any]) -> Line:
        """Append the event of a started verb."""
        try:
            with self._locked():
                written = self._append(fields)
                uid = fields["metadata"]["uid"]
                with suppress(FileNotFoundError):
                    (self._open / f"{uid}.json").unlink()
                if (descriptor := self._held.pop(uid, None)) is not None:
                    os.close(descriptor)
                return written
        except OSError as error:
            raise TargetError(
                f"audit spool {self.folder}: {error.strerror or error}; the event of this verb is not recorded"
            ) from None

    def recover(self) -> int:
        """Record the events of verbs whose process was killed, and return their number."""
        with self._locked():
            return self._record_killed()

    def deliver(self, sink: Sink) -> int:
        """Send new events to a sink, and return their number; do nothing during another delivery to the same sink.

        Raises:
            SinkDown: the sink accepts no events now; the rest stays.
        """
        key = hashlib.sha256(sink.name.encode()).hexdigest()[:16]
        with self._locked(f"sink-{key}", wait=False) as held:
            return self._deliver(sink, self.folder / f"sink-{key}.json") if held else 0

    def _deliver(self, sink: Sink, cursor: Path) -> int:
        state = self._state(cursor)
        done, mark = state.get("sequence", 0), state.get("mark")
        if state.get("sending"):
            done = max(done, sink.last(self.id, mark))
        sent = 0
        while lines := self.after(done, sink.most):
            self._remember(cursor, {"sink": sink.name, "sequence": done, "mark": mark, "sending": lines[-1].sequence})
            mark = sink.put(self.id, lines, mark)
            done, sent = lines[-1].sequence, sent + len(lines)
            self._remember(cursor, {"sink": sink.name, "sequence": done, "mark": mark})
        if state.get("sending") and not sent:
            self._remember(cursor, {"sink": sink.name, "sequence": done, "mark": mark})
        return sent

    def waiting(self, sink: Sink) -> int:
        """Return the number of undelivered events of a sink."""
        key = hashlib.sha256(sink.name.encode()).hexdigest()[:16]
        return self.last() - int(self._state(self.folder / f"sink-{key}.json").get("sequence", 0))

    def after(self, sequence: int, most: int) -> list[Line]:
        """Return the first events after a sequence, in order."""
        found: list[Line] = []
        for path, following in _pairs(self._segments()):
            if following is not None and _first(following) <= sequence + 1:
                continue
            for one in _lines(path):
                if one.sequence > sequence and len(found) < most:
                    found.append(one)
            if len(found) >= most:
                break
        return found

    def last(self) -> int:
        """Return the sequence of the newest event; 0 if there is none."""
        segments = self._segments()
        if segments and (newest := _newest(segments[-1], repair=False)):
            return newest.sequence
        return max([self.sealed, *self._delivered(), _first(segments[-1]) - 1 if segments else 0])

    @property
    def id(self) -> str:
        """A random name of the spool, which is part of its events."""
        path = self.folder / "id"
        with suppress(FileNotFoundError):
            return path.read_text(encoding="ascii")
        with self._locked():
            if not path.exists():
                replace_file(path, uuid.uuid4().hex.encode(), 0o600)
        return path.read_text(encoding="ascii")

    @property
    def sealed(self) -> int:
        """Sequence up to which digests of events are in the ledger."""
        return int(self._state(self.folder / "sealed.json").get("sequence", 0))

    def unsealed(self) -> list[Line]:
        """Return the events whose digest is not in the ledger yet."""
        return self.after(self.sealed, 1_000_000)

    def seal(self, sequence: int) -> None:
        """Record that the ledger contains the digests up to a sequence."""
        self._remember(self.folder / "sealed.json", {"sequence": sequence})

    def prune(self, sinks: Sequence[Sink]) -> int:
        """Remove segments that all sinks have received and the ledger has sealed; returns their number."""
        with self._locked():
            done = min([self.sealed, *(self.last() - self.waiting(sink) for sink in sinks)])
            old = [
                path
                for path, following in _pairs(self._segments())
                if following is not None and _first(following) <= done + 1
            ]
            for path in old:
                path.unlink()
        return len(old)

    def _append(self, fields: dict[str, Any]) -> Line:
        """Append an event under the spool's lock; times never decrease, so that sinks that sort by time keep the order."""
        segments = self._segments()
        path = segments[-1] if segments else self.folder / _named(1)
        newest = _newest(path)
        # After removed segments no sequence is reused: a sink would ignore it as known.
        sequence = max([newest.sequence if newest else _first(path) - 1, self.sealed, *self._delivered()]) + 1
        if sequence - _first(path) >= SEGMENT:
            path = self.folder / _named(sequence)
        metadata = {**fields["metadata"], "sequence": sequence, "log_name": f"dataward/{self._id_under_lock()}"}
        time = max(fields["time"], newest.time if newest else 0)
        text = line({**fields, "time": time, "metadata": metadata})
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            _write(descriptor, text.encode() + b"\n")
        finally:
            os.close(descriptor)
        return Line(sequence, time, text)

    def _delivered(self) -> list[int]:
        return [int(self._state(path).get("sequence", 0)) for path in self.folder.glob("sink-*.json")]

    def _id_under_lock(self) -> str:
        path = self.folder / "id"
        if not path.exists():
            replace_file(path, uuid.uuid4().hex.encode(), 0o600)
        return path.read_text(encoding="ascii")

    def _record_killed(self) -> int:
        """Record an event for each unlocked file in ``open/``, unless its event was recorded before the kill."""
        count = 0
        for path in sorted(self._open.glob("*.json")):
            try:
                descriptor = os.open(path, os.O_RDWR)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                begun = Begun.of(path.read_text(encoding="utf-8"))
                if not self._has(begun.uid):
                    self._append(interrupted(begun))
                    count += 1
            except BlockingIOError:
                continue  # its process is running
            except (ValueError, KeyError):
                pass  # killed while writing the file: nothing had started
            finally:
                os.close(descriptor)
            path.unlink(missing_ok=True)
        return count

    def _has(self, uid: str) -> bool:
        """Return whether the newest segments contain the event of a call."""
        return any(f'"uid":"{uid}"' in one.text for path in self._segments()[-2:] for one in _lines(path))

    @property
    def _open(self) -> Path:
        path = self.folder / "open"
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def _segments(self) -> list[Path]:
        return sorted(self.folder.glob("events-*.jsonl"))

    @contextmanager
    def _locked(self, name: str = "spool", wait: bool = True) -> Iterator[bool]:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
                held = True
            except BlockingIOError:
                held = False
            yield held
        finally:
            os.close(descriptor)

    def _state(self, path: Path) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return found
        except FileNotFoundError:
            return {}

    def _remember(self, path: Path, state: dict[str, Any]) -> None:
        replace_file(path, json.dumps(state).encode(), 0o600)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
    os.fsync(descriptor)


def _named(first: int) -> str:
    return f"events-{first:015d}.jsonl"


def _first(path: Path) -> int:
    return int(path.stem.removeprefix("events-"))


def _pairs(segments: Sequence[Path]) -> Iterator[tuple[Path, Path | None]]:
    following: Sequence[Path | None] = [*segments[1:], None]
    return zip(segments, following, strict=True) if segments else iter(())


def _lines(path: Path) -> list[Line]:
    """Return the events of a segment, without an incomplete last line of a killed process."""
    try:
        whole = path.read_bytes().rpartition(b"\n")[0]
    except FileNotFoundError:
        return []
    return [_line(text) for text in whole.decode("ascii").splitlines()]


def _newest(path: Path, repair: bool = True) -> Line | None:
    """Return the last event of a segment; with ``repair``, cut off an incomplete last line."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    whole, _, torn = data.rpartition(b"\n")
    if torn and repair:
        os.truncate(path, len(data) - len(torn))
    text = whole.rpartition(b"\n")[2].decode("ascii")
    return _line(text) if text else None


def _line(text: str) -> Line:
    fields = json.loads(text)
    return Line(fields["metadata"]["sequence"], fields["time"], text)
