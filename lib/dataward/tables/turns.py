"""Turns of writers to a table on S3, where Delta's default LogStore lets two drivers overwrite each other's commits.

``S3SingleDriverLogStore`` looks for a commit file before it writes it, and two drivers that look at the same time both write: the
first one's rows are gone without an error. Every write of Dataward to such a table therefore takes a turn: an object beside the
table, which is created and replaced by S3's conditional writes. Its holder renews it; a holder that stopped renewing it loses it.
Waiting writers compare what they read with what they read before, so that clocks need not agree.

Writers other than Dataward take no turns. The object records the newest commit of the last turn, so that a commit file that was
overwritten since is found before the next write, and before it is sealed.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from dataward.contract import Location
from dataward.contract.places import split_path
from dataward.errors import TargetError
from dataward.spark.session import platform
from dataward.spark.settings import setting
from dataward.tables import delta, log
from dataward.tables.store import Objects

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["SAFE_STORES", "Turn", "check", "exclusive", "log_store", "store_of", "taken"]

SAFE_STORES = ("S3DynamoDBLogStore",)
"""LogStores that create a commit file at most once on S3."""

NAME = "_dataward/turn.json"
EXPIRES = 60.0
"""Seconds without renewal after which a turn is free."""
WAITS = 1800.0
"""Seconds that a writer waits for its turn."""
REMEDY = "give every writer of this table spark.delta.logStore.{scheme}.impl=io.delta.storage.S3DynamoDBLogStore (docs/s3.md)"


@dataclass(frozen=True)
class _Record:
    """Content of the object: the holder (empty: nobody) and the newest commit of the last turn."""

    holder: str = ""
    run_id: str = ""
    since: str = ""
    beat: int = 0
    version: int = -1
    sha256: str = ""
    committed_by: str = ""

    def text(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def of(cls, data: bytes) -> _Record:
        """Parse the object; one that is none of ours is an empty one, which the next writer replaces."""
        try:
            found = json.loads(data)
            kinds = {name: type(getattr(cls, name)) for name in cls.__dataclass_fields__}
            given = {name: found[name] for name in kinds if name in found}
        except (ValueError, TypeError, RecursionError):
            return cls()
        return cls(**given) if all(type(value) is kinds[name] for name, value in given.items()) else cls()


@dataclass(frozen=True)
class _Read:
    """The object as it was read: its content, and its ETag."""

    record: _Record
    tag: str


def log_store(scheme: str, conf: Mapping[str, str]) -> str:
    """Return the class name, without its package, of the LogStore that writes commits of a scheme."""
    chosen = conf.get(f"spark.delta.logStore.{scheme}.impl") or conf.get("spark.delta.logStore.class")
    return (chosen or "S3SingleDriverLogStore").rpartition(".")[2]


def store_of(spark: SparkSession, place: Location) -> Objects | None:
    """Return the store of a table whose writers take turns; None where Delta's LogStore orders them."""
    root = place.path or log.folder_to_be(spark, place)
    scheme = root.partition("://")[0].lower()
    if split_path(root)[0] != "s3" or platform() == "databricks":
        return None
    names = (f"spark.delta.logStore.{scheme}.impl", "spark.delta.logStore.class")
    conf = {name: value for name in names if (value := setting(spark, name))}
    if log_store(scheme, conf) in SAFE_STORES:
        return None
    return Objects("s3", split_path(root)[1])


_mine = threading.local()
"""Turns of this thread by table, so that a write inside of another one takes none of its own."""


@contextmanager
def exclusive(spark: SparkSession, place: Location, run_id: str, mending: bool = False) -> Iterator[None]:
    """Execute a write in a turn of its own, where the table's LogStore needs that.

    ``mending``: the write restores a version, so that an overwritten commit does not stop it.

    Raises:
        TargetError: another run held the turn for too long, the turn was lost, or a commit of an earlier turn was overwritten.
    """
    turns: dict[str, Turn] = _mine.__dict__.setdefault("turns", {})
    store = store_of(spark, place)
    if store is None or str(store) in turns:
        yield
        return
    with taken(store, str(place), run_id, mending) as turn:
        turns[str(store)] = turn
        try:
            yield
            with suppress(Exception):  # the write has reported its own outcome
                turn.note(delta.find_run(spark, place, run_id, limit=5))
        finally:
            del turns[str(store)]


def check(spark: SparkSession, place: Location) -> None:
    """Check that the newest commit of the last turn is unchanged.

    Raises:
        TargetError: it was overwritten.
    """
    store = store_of(spark, place)
    if store is not None and (found := _read(store)):
        _same_commit(store, str(place), found.record)


@contextmanager
def taken(store: Objects, place: str, run_id: str, mending: bool = False) -> Iterator[Turn]:
    """Take a turn, renew it while the block runs, and give it back.

    Args:
        store: the table's folder.
        place: the table, for messages.
        run_id: the run.
        mending: do not look at the last turn's commit.

    Raises:
        TargetError: see :func:`exclusive`.
    """
    turn = Turn(store, place, run_id)
    turn.take(mending)
    try:
        yield turn
    except BaseException:
        with suppress(TargetError):  # the first error says what happened
            turn.give_back()
        raise
    turn.give_back()


class Turn:
    """A turn of one writer."""

    def __init__(self, store: Objects, place: str, run_id: str) -> None:
        """Name the table and the run; nothing is taken yet."""
        self._store, self._place = store, place
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self._record = _Record(secrets.token_hex(8), run_id, now)
        self._tag = ""
        self._lost = False
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._beats = threading.Thread(target=self._renew, daemon=True)

    def take(self, mending: bool = False) -> None:
        """Wait for the turn, take it, and begin to renew it."""
        began = seen_at = time.monotonic()
        before, announced = "", False
        while not self._taken(found := _read(self._store), before, seen_at):
            if found is None:  # another writer created it first
                continue
            now = time.monotonic()
            if found.tag != before:
                before, seen_at = found.tag, now
            if now - began > WAITS:
                raise TargetError(
                    f"{self._place}: run {found.record.run_id} has been writing it since {found.record.since}, and two drivers "
                    f"with this LogStore would overwrite each other's commits. Nothing of this run was published here; wait for it "
                    f"and rerun, or {_remedy(self._store)}"
                )
            if not announced and now - began > 5:
                announced = True
                print(f"dataward: waiting for run {found.record.run_id}, which writes {self._place}", file=sys.stderr)
            time.sleep(min(0.2 + (now - began) / 20, 5))
        self._beats.start()
        try:
            if not mending:
                _same_commit(self._store, self._place, self._record)
        except TargetError:
            self.give_back()
            raise

    def _taken(self, found: _Read | None, before: str, seen_at: float) -> bool:
        """Try to take the turn: it is absent, free, or was not renewed for too long."""
        if found is None:
            return self._put(self._record, None)
        free = not found.record.holder
        expired = found.tag == before and time.monotonic() - seen_at > EXPIRES
        if not (free or expired):
            return False
        last = found.record
        mine = replace(
            self._record, version=last.version, sha256=last.sha256, committed_by=last.committed_by, beat=last.beat + 1
        )
        return self._put(mine, found.tag)

    def note(self, commit: delta.Commit | None) -> None:
        """Record the commit that was written in this turn; None: none was."""
        if commit is not None and (data := self._store.read(_commit_file(commit.version))) is not None:
            sha256 = hashlib.sha256(data).hexdigest()
            with self._lock:
                by = self._record.run_id
                self._record = replace(self._record, version=commit.version, sha256=sha256, committed_by=by)

    def give_back(self) -> None:
        """End the turn.

        Raises:
            TargetError: it had been taken by another writer meanwhile.
        """
        self._done.set()
        self._beats.join()
        with self._lock:
            kept = not self._lost and self._put(replace(self._record, holder="", beat=self._record.beat + 1), self._tag)
        if not kept:
            raise TargetError(
                f"{self._place}: this run stood still for more than {EXPIRES:.0f} s while it wrote, and another writer took its "
                f"turn. Rerun with --run-id {self._record.run_id}: that finds this run's commit, or writes it"
            )

    def _renew(self) -> None:
        while not self._done.wait(EXPIRES / 4):
            with self._lock, suppress(TargetError):  # an outage of S3: the next beat tries again
                if not self._put(replace(self._record, beat=self._record.beat + 1), self._tag):
                    self._lost = True
                    return

    def _put(self, record: _Record, tag: str | None) -> bool:
        put = self._store.swap(NAME, record.text(), tag)
        if put is None:  # a request that S3 answered too late is sent twice, and the first one may have succeeded
            found = _read(self._store)
            if found is None or found.record != record:
                return False
            put = found.tag
        self._record, self._tag = record, put
        return True


def _read(store: Objects) -> _Read | None:
    found = store.fetch(NAME)
    return _Read(_Record.of(found[0]), found[1]) if found else None


def _same_commit(store: Objects, place: str, record: _Record) -> None:
    """Compare the newest commit of the last turn with its file; a file that log cleanup removed is not missed."""
    if record.version < 0:
        return
    data = store.read(_commit_file(record.version))
    if data is not None and hashlib.sha256(data).hexdigest() != record.sha256:
        raise TargetError(
            f"{place}: version {record.version}, which run {record.committed_by} committed, was overwritten by a writer that "
            "takes no turns: rows of that run are lost. Nothing of this run was published here; restore a sealed version "
            f"(dataward restore), publish run {record.committed_by}'s rows again, and {_remedy(store)}"
        )


def _commit_file(version: int) -> str:
    return f"_delta_log/{version:020d}.json"


def _remedy(store: Objects) -> str:
    return REMEDY.format(scheme="s3a")
