"""Send events to CloudWatch Logs: a log group with a stream for each spool."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from dataward.access.spool import Line, SinkDown

__all__ = ["CloudWatch"]

ATTEMPTS = 4
OVERHEAD = 26  # bytes that CloudWatch counts for each event
LARGEST = 1_048_576  # bytes of one PutLogEvents
SPAN = 24 * 3600 * 1000  # milliseconds that the events of one PutLogEvents may span
OLDEST_KEPT = "the group's retention or 14 days"


@dataclass(frozen=True)
class CloudWatch:
    """A log group. PutLogEvents accepts events in the order of their times, which a spool keeps."""

    group: str
    create: bool = False
    most: int = 10_000
    _client: list[Any] = field(default_factory=list, repr=False, compare=False)

    @property
    def name(self) -> str:
        """Return the name for messages and cursors."""
        return f"cloudwatch {self.group}"

    @property
    def _logs(self) -> Any:
        if not self._client:
            attempts = int(os.environ.get("AWS_MAX_ATTEMPTS", ATTEMPTS))
            retries = {"mode": "standard", "total_max_attempts": attempts}
            self._client.append(
                boto3.client("logs", config=Config(retries=retries, connect_timeout=3, read_timeout=10))
            )
        return self._client[0]

    def put(self, spool: str, lines: Sequence[Line], mark: Any) -> Any:
        """Put events in as few calls as the service's limits allow; a refused event stops the delivery, as it would be lost."""
        for batch in _batches(lines):
            answer = self._asked(spool, [{"timestamp": line.time, "message": line.text} for line in batch])
            if refused := answer.get("rejectedLogEventsInfo"):
                raise SinkDown(
                    f"{self.name}: events were refused ({', '.join(refused)}): too old for {OLDEST_KEPT}, or this clock is wrong"
                )
        return None

    def last(self, spool: str, mark: Any) -> int:
        """Return the highest sequence in the spool's stream."""
        found: int = 0
        token: dict[str, Any] = {}
        while True:
            try:
                page = self._logs.get_log_events(
                    logGroupName=self.group, logStreamName=spool, startFromHead=False, limit=100, **token
                )
            except self._logs.exceptions.ResourceNotFoundException:
                return 0
            except (ClientError, BotoCoreError) as failed:
                raise SinkDown(f"{self.name}: {_code(failed)}") from None
            sequences: list[int] = [json.loads(one["message"])["metadata"]["sequence"] for one in page["events"]]
            found = max([found, *sequences])
            if found or not page["events"] or page["nextBackwardToken"] == token.get("nextToken"):
                return found
            token = {"nextToken": page["nextBackwardToken"]}

    def _asked(self, spool: str, events: list[dict[str, Any]]) -> Any:
        """Put events; creates the spool's stream, and the group if configured, when missing."""
        for again in (True, False):
            try:
                return self._logs.put_log_events(logGroupName=self.group, logStreamName=spool, logEvents=events)
            except self._logs.exceptions.ResourceNotFoundException:
                if not again:
                    raise SinkDown(
                        f"{self.name}: there is no such log group: create it, or set 'create: true'"
                    ) from None
                self._make(spool)
            except (ClientError, BotoCoreError) as failed:
                raise SinkDown(f"{self.name}: PutLogEvents: {_code(failed)}") from None
        raise AssertionError("unreachable")

    def _make(self, spool: str) -> None:
        logs = self._logs
        makers: list[Callable[[], Any]] = [lambda: logs.create_log_stream(logGroupName=self.group, logStreamName=spool)]
        if self.create:
            makers.insert(0, lambda: logs.create_log_group(logGroupName=self.group))
        for make in makers:
            try:
                make()
            except logs.exceptions.ResourceAlreadyExistsException:
                continue
            except logs.exceptions.ResourceNotFoundException:
                return
            except (ClientError, BotoCoreError) as failed:
                raise SinkDown(f"{self.name}: {_code(failed)}") from None


def _batches(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """Split events by the limits of one call: bytes and time span (``most`` limits their number)."""
    batch: list[Line] = []
    size = 0
    for line in lines:
        cost = len(line.text.encode()) + OVERHEAD
        if batch and (size + cost > LARGEST or line.time - batch[0].time >= SPAN):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += cost
    if batch:
        yield batch


def _code(failed: Exception) -> str:
    if isinstance(failed, ClientError):
        return str(failed.response.get("Error", {}).get("Code", "?"))
    return type(failed).__name__
