"""Sinks of events: a file of JSON lines, a Delta table, a topic behind a Kafka REST proxy; CloudWatch Logs is in ``aws``.

Each sink reports which events of a spool it has, so that an interrupted delivery is neither lost nor repeated.
"""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib import error, request
from urllib.parse import quote, urljoin, urlsplit

from dataward.access.spool import Line, Sink, SinkDown
from dataward.contract import Location
from dataward.contract.access import CloudWatchSink, DeltaSink, HttpSink, JsonLinesSink
from dataward.contract.access import Sink as Configured
from dataward.tables import commits, delta
from dataward.tables.reason import reason

__all__ = ["DeltaTable", "JsonLines", "RestProxy", "sink_of"]

SECONDS = 5.0
"""Time limit of one request to a sink."""
KAFKA = "application/vnd.kafka.v2+json"
RECORDS = "application/vnd.kafka.json.v2+json"


def sink_of(configured: Configured, spark: Any = None) -> Sink | None:
    """Return the sink of a configuration; None if it needs a Spark session and there is none, so that its events wait."""
    if isinstance(configured, JsonLinesSink):
        return JsonLines(configured.path)
    if isinstance(configured, HttpSink):
        return RestProxy(configured.url, configured.topic, configured.partition)
    if isinstance(configured, CloudWatchSink):
        try:
            from dataward.access.aws import CloudWatch
        except ImportError:
            raise SinkDown(f"cloudwatch {configured.group}: boto3 is missing: pip install 'dataward[aws]'") from None
        return CloudWatch(configured.group, configured.create)
    assert isinstance(configured, DeltaSink)  # noqa: S101 - the union has no other
    return None if spark is None else DeltaTable(configured.path, spark)


@dataclass(frozen=True)
class JsonLines:
    """A file that several spools append to. The mark is the file's size after the last delivery."""

    path: str
    most: int = 1000

    @property
    def name(self) -> str:
        """Return the name for messages and cursors."""
        return f"jsonl {self.path}"

    def last(self, spool: str, mark: Any) -> int:
        """Return the highest sequence of a spool in the file."""
        try:
            with open(self.path, "rb") as stream:
                if isinstance(mark, int) and mark <= os.fstat(stream.fileno()).st_size:
                    stream.seek(mark)
                return max((_sequence(text, spool) for text in stream if text.endswith(b"\n")), default=0)
        except FileNotFoundError:
            return 0
        except OSError as failed:
            raise SinkDown(f"{self.name}: {failed.strerror}") from None

    def put(self, spool: str, lines: Sequence[Line], mark: Any) -> Any:
        """Append events; an incomplete last line of a killed delivery is cut off first."""
        try:
            if folder := os.path.dirname(self.path):
                os.makedirs(folder, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "r+b") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX)
                stream.seek(_whole(stream))
                stream.truncate()
                stream.write(b"".join(line.text.encode() + b"\n" for line in lines))
                stream.flush()
                os.fsync(stream.fileno())
                return stream.tell()
        except OSError as failed:
            raise SinkDown(f"{self.name}: {failed.strerror}") from None


def _whole(stream: Any) -> int:
    """Return the size of a file up to its last newline."""
    end = stream.seek(0, os.SEEK_END)
    while end > 0:
        start = max(0, end - 65536)
        stream.seek(start)
        found = stream.read(end - start).rfind(b"\n")
        if found >= 0:
            return int(start + found + 1)
        end = start
    return 0


def _sequence(text: bytes | str, spool: str) -> int:
    """Return the sequence of an event of a spool; 0 for another spool's event."""
    try:
        metadata = json.loads(text)["metadata"]
        return int(metadata["sequence"]) if metadata["log_name"] == f"dataward/{spool}" else 0
    except (ValueError, KeyError, TypeError):
        return 0


@dataclass(frozen=True)
class DeltaTable:
    """A Delta table with one row per event. A batch is one transaction of Delta, which a second attempt does not repeat."""

    path: str
    spark: Any = field(repr=False, compare=False)
    most: int = 1000

    @property
    def name(self) -> str:
        """Return the name for messages and cursors."""
        return f"delta {self.path}"

    def last(self, spool: str, mark: Any) -> int:
        """Return the highest sequence of a spool in the table."""
        from pyspark.sql import functions as F

        place = Location(path=self.path)
        try:
            if not delta.exists(self.spark, place):
                return 0
            rows = delta.read(self.spark, place, delta.latest_version(self.spark, place)).where(F.col("spool") == spool)
            newest = rows.agg(F.max("sequence")).first()
        except Exception as failed:
            raise SinkDown(f"{self.name}: {reason(failed)}") from None
        return int(newest[0] or 0) if newest else 0

    def put(self, spool: str, lines: Sequence[Line], mark: Any) -> Any:
        """Append events as one transaction, named by spool and last sequence."""
        rows = [_row(spool, line) for line in lines]
        try:
            frame = self.spark.createDataFrame(rows, SCHEMA).coalesce(1)
            transaction = commits.Transaction(
                f"dataward/events/{spool}", {"events": len(rows)}, ("sequence", "time", "contract")
            )
            commits.append_in_turn(self.spark, frame, Location(path=self.path), transaction, lines[-1].sequence)
        except Exception as failed:
            raise SinkDown(f"{self.name}: {reason(failed)}") from None
        return None


SCHEMA = "spool string, sequence bigint, time bigint, class_uid int, verb string, contract string, who string, status string, event string"


def _row(spool: str, line: Line) -> tuple[Any, ...]:
    fields = json.loads(line.text)
    own = fields["unmapped"]["dataward"]
    contract = (fields.get("table") or fields.get("entity") or {}).get("name", "")
    return (
        spool,
        line.sequence,
        line.time,
        fields["class_uid"],
        own["verb"],
        contract,
        fields["actor"]["user"]["name"],
        own["status"],
        line.text,
    )


@dataclass(frozen=True)
class RestProxy:
    """A topic behind a Kafka REST proxy (API v2, JSON). The mark is the offset of the last delivered event.

    Events are sent one by one to one partition, which keeps their order; after an interruption the proxy's consumer API
    returns the events that arrived.
    """

    url: str
    topic: str
    partition: int = 0
    most: int = 1

    @property
    def name(self) -> str:
        """Return the name for messages and cursors."""
        return f"http {self.url} topic {self.topic}"

    def put(self, spool: str, lines: Sequence[Line], mark: Any) -> Any:
        """Produce events; the key of a record is its spool."""
        records = [{"key": spool, "value": json.loads(line.text), "partition": self.partition} for line in lines]
        answer = self._call("POST", f"topics/{quote(self.topic)}", {"records": records}, RECORDS)
        offsets = answer.get("offsets") or []
        if len(offsets) != len(records) or any(one.get("error_code") or one.get("offset") is None for one in offsets):
            raise SinkDown(f"{self.name}: the proxy did not take all records")
        return offsets[-1]["offset"]

    def last(self, spool: str, mark: Any) -> int:
        """Return the highest sequence of a spool in the partition, read from the mark."""
        place = f"topics/{quote(self.topic)}/partitions/{self.partition}/offsets"
        ends = self._call("GET", place, None, KAFKA)
        start = max(int(mark) + 1 if mark is not None else 0, int(ends["beginning_offset"]))
        end, found = int(ends["end_offset"]), 0
        if start >= end:
            return 0
        where = {"topic": self.topic, "partition": self.partition}
        consumer = {
            "name": "dataward",
            "format": "json",
            "auto.offset.reset": "earliest",
            "auto.commit.enable": "false",
        }
        made = self._call("POST", f"consumers/dataward-{uuid.uuid4().hex}", consumer, KAFKA)
        base = self._own(str(made["base_uri"]))
        try:
            self._call("POST", f"{base}/assignments", {"partitions": [where]}, KAFKA)
            self._call("POST", f"{base}/positions", {"offsets": [{**where, "offset": start}]}, KAFKA)
            for _ in range(1000):
                records = self._call("GET", f"{base}/records", None, RECORDS)
                found = max([found, *(_sequence(json.dumps(one["value"]), spool) for one in records)])
                start = max([start, *(int(one["offset"]) + 1 for one in records)])
                if start >= end:
                    return found
            raise SinkDown(f"{self.name}: the proxy's consumer does not reach the end of the partition")
        finally:
            self._call("DELETE", base, None, KAFKA)

    def _own(self, uri: str) -> str:
        """Return the path of the proxy's new consumer, without its host, which may be unreachable from here."""
        return urlsplit(uri).path.removeprefix(urlsplit(self.url).path.rstrip("/")).lstrip("/")

    def _call(self, method: str, path: str, body: Any, kind: str) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": kind if method == "GET" else KAFKA} | ({"Content-Type": kind} if data else {})
        asked = request.Request(urljoin(self.url.rstrip("/") + "/", path), data, headers, method=method)  # noqa: S310 - the model allows http(s) alone
        try:
            with request.urlopen(asked, timeout=SECONDS) as answer:  # noqa: S310
                text = answer.read()
            return json.loads(text) if text else {}
        except error.HTTPError as failed:
            raise SinkDown(f"{self.name}: HTTP {failed.code}") from None
        except (OSError, ValueError) as failed:
            raise SinkDown(f"{self.name}: {type(failed).__name__}") from None
