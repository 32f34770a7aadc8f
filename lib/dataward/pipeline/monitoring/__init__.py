"""Send measurements and alerts of runs to monitoring. An unreachable destination causes a warning and never fails a run.

Destinations of metrics: ``stdout`` (Embedded Metric Format), ``logs:GROUP`` (the same, to CloudWatch Logs), ``otel`` (OTLP). Of alerts:
``sns:ARN``, ``webhook:@FILE`` and ``webhook:env:NAME`` (a Slack-compatible URL is a secret, so no command line contains it).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dataward.errors import DatawardError, UsageError
from dataward.pipeline.monitoring.webhook import post
from dataward.report import RunResult
from dataward.report.alerts import Alert, alert_of, slack, text
from dataward.report.metrics import emf

__all__ = ["Destinations", "alert", "deliver"]

Warn = Callable[[str], None]
METRICS, ALERTS = "DATAWARD_METRICS", "DATAWARD_ALERTS"


@dataclass(frozen=True)
class Destinations:
    """Destinations of metrics and alerts."""

    metrics: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()

    @classmethod
    def of(cls, metrics: Iterable[str], alerts: Iterable[str], environment: Mapping[str, str]) -> Destinations:
        """Return the given destinations, or those of the environment (comma-separated) where none is given.

        Raises:
            UsageError: a destination is unknown.
        """
        found = cls(
            tuple(metrics) or _listed(environment.get(METRICS, "")),
            tuple(alerts) or _listed(environment.get(ALERTS, "")),
        )
        for place in found.metrics:
            if place not in ("stdout", "otel") and not (place.startswith("logs:") and place[5:]):
                raise UsageError(f"metrics to '{place}': write stdout, otel or logs:GROUP")
        for place in found.alerts:
            if not place.startswith(("sns:arn:", "webhook:@", "webhook:env:")):
                raise UsageError(f"alerts to '{place}': write sns:ARN, webhook:@FILE or webhook:env:NAME")
        return found

    def __bool__(self) -> bool:
        """Return whether there is any destination."""
        return bool(self.metrics or self.alerts)


def deliver(result: RunResult, where: Destinations, printed: Warn, warn: Warn) -> None:
    """Send a run's measurements, and its alert if it has one.

    Args:
        result: the run's result.
        where: destinations.
        printed: writes one line to ``stdout``.
        warn: is called for each destination that failed.
    """
    documents = emf(result)
    for place in where.metrics:
        _tried(warn, f"metrics to {place}", lambda place=place: _send(place, result, documents, printed))  # type: ignore[misc]
    message = alert_of(result)
    if message:
        alert(message, where, warn)


def alert(message: Alert, where: Destinations, warn: Warn) -> None:
    """Send an alert to every destination of alerts."""
    for place in where.alerts:
        _tried(warn, f"alert to {place.split(':@')[0]}", lambda place=place: _alert(place, message))  # type: ignore[misc]


def _listed(text_of: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text_of.split(",") if part.strip())


def _send(place: str, result: RunResult, documents: list[dict[str, object]], printed: Warn) -> None:
    if place == "stdout":
        for document in documents:
            printed(json.dumps(document, separators=(",", ":")))
    elif place == "otel":
        from dataward.pipeline.monitoring.otel import measure

        measure(result)
    else:
        from dataward.pipeline.monitoring.aws import put_events

        put_events(place.removeprefix("logs:"), f"metrics/{result.contract}/{result.run_id}", documents)


def _alert(place: str, message: Alert) -> None:
    if place.startswith("sns:"):
        from dataward.pipeline.monitoring.aws import publish

        publish(place.removeprefix("sns:"), message.title, text(message))
        return
    kind, _, name = place.removeprefix("webhook:").partition("env:")
    if name and not kind:
        url = os.environ.get(name, "")
        if not url:
            raise UsageError(f"the environment has no variable {name}")
    else:
        url = Path(place.removeprefix("webhook:@")).read_text(encoding="utf-8").strip()
    post(url, slack(message))


def _tried(warn: Warn, what: str, send: Callable[[], None]) -> None:
    try:
        send()
    except DatawardError as error:
        warn(f"{what} could not be sent: {error}")
    except Exception as error:  # monitoring never fails a run; the message may contain a URL or data
        warn(f"{what} could not be sent ({type(error).__name__})")
