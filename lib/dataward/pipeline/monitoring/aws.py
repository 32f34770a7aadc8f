"""Write measurements to CloudWatch Logs and alerts to SNS."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from dataward.errors import RunError

__all__ = ["publish", "put_events"]

REMEDIES = {
    "AccessDeniedException": "grant what 'dataward iam ... --log-group' prints",
    "AuthorizationError": "grant sns:Publish on the topic",
    "ResourceNotFoundException": "create the log group (conf/aws/monitoring.yaml)",
    "NotFound": "check the topic's ARN",
}


def put_events(group: str, stream: str, documents: Sequence[dict[str, Any]]) -> None:
    """Write documents as log events of one stream, and create the stream if needed.

    Raises:
        RunError: CloudWatch Logs did not accept them.
    """
    logs = _client("logs")
    events = [
        {"timestamp": int(time.time() * 1000), "message": json.dumps(document, separators=(",", ":"))}
        for document in documents
    ]
    try:
        with suppress(logs.exceptions.ResourceAlreadyExistsException):  # a rerun under the same run ID
            logs.create_log_stream(logGroupName=group, logStreamName=stream)
        answer = logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
    except (ClientError, BotoCoreError) as error:
        raise _failed(f"log group {group}", error) from None
    if answer.get("rejectedLogEventsInfo"):
        raise RunError(f"log group {group} rejected events: check this machine's clock")


def publish(topic: str, subject: str, message: str) -> None:
    """Publish a message to an SNS topic.

    Raises:
        RunError: SNS did not accept it.
    """
    region = topic.split(":")[3] if topic.count(":") >= 5 else None
    try:
        _client("sns", region).publish(TopicArn=topic, Subject=subject[:100], Message=message)
    except (ClientError, BotoCoreError) as error:
        raise _failed(f"topic {topic}", error) from None


def _client(service: str, region: str | None = None) -> Any:
    config = Config(retries={"mode": "standard", "total_max_attempts": 4}, connect_timeout=5, read_timeout=10)
    return boto3.client(service, region_name=region, config=config)


def _failed(what: str, error: Exception) -> RunError:
    if not isinstance(error, ClientError):
        return RunError(f"{what}: AWS could not be reached ({type(error).__name__})")
    code = str(error.response.get("Error", {}).get("Code", "?"))
    return RunError(f"{what}: AWS answered {code}; {REMEDIES.get(code, 'see the AWS documentation of this error')}")
