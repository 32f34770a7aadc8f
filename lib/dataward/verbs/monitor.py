"""Send the metrics and alerts of a run, from a notebook or a program."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence

from dataward.pipeline.guard import watched
from dataward.pipeline.monitoring import Destinations, deliver
from dataward.report import RunResult

__all__ = ["monitor"]


def monitor(result: RunResult, metrics: Sequence[str] = (), alerts: Sequence[str] = ()) -> None:
    """Send a run's measurements, and its alert if it stopped or has warnings; a failed delivery is a Python warning.

    Args:
        result: result of publish, of a stream or of a release.
        metrics: ``stdout``, ``logs:GROUP``, ``otel``; none: those of ``DATAWARD_METRICS``.
        alerts: ``sns:ARN``, ``webhook:@FILE``, ``webhook:env:NAME``; none: those of ``DATAWARD_ALERTS``.

    Raises:
        UsageError: a destination is unknown.
    """
    where = Destinations.of(metrics, alerts, os.environ)
    with watched("monitor", source=result.contract):
        deliver(result, where, print, lambda line: warnings.warn(line, stacklevel=2))
