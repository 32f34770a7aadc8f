"""Export a run to OpenTelemetry: one trace with a span for each phase, and its measurements. Extra ``otel``.

A provider that the application has set is used. Without one, and with ``OTEL_EXPORTER_OTLP_ENDPOINT`` in the environment, the SDK's
own variables set up OTLP over HTTP. Spans contain names, numbers and kinds of errors, never the message of an error.
"""

from __future__ import annotations

import os
import sys
import time
from functools import cache
from typing import Any

from dataward.errors import UsageError
from dataward.report import RunResult
from dataward.report.metrics import measurements

__all__ = ["RunSpans", "asked_for", "measure", "run_spans"]

MISSING = "OpenTelemetry is not installed: pip install 'dataward[otel]'"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def asked_for() -> bool:
    """Return whether the environment names a collector."""
    return bool(os.environ.get(ENDPOINT)) and os.environ.get("OTEL_SDK_DISABLED", "").lower() != "true"


class RunSpans:
    """The spans of one run, below one root span."""

    def __init__(self, contract: str, run_id: str) -> None:
        """Start the root span."""
        from opentelemetry import trace

        self._trace = trace
        self._tracer = _tracer_provider().get_tracer("dataward")
        named = {"dataward.contract": contract, "dataward.run_id": run_id}
        self._root = self._tracer.start_span("dataward.publish", attributes=named)

    def phase(self, name: str, seconds: float, error: BaseException | None = None) -> None:
        """Add a span for a phase that has just ended, with its duration in seconds."""
        ended = time.time_ns()
        span = self._tracer.start_span(
            f"dataward.{name}",
            context=self._trace.set_span_in_context(self._root),
            start_time=ended - int(seconds * 1e9),
        )
        self._mark(span, error)
        span.end(ended)

    def end(self, status: str, error: BaseException | None = None) -> None:
        """End the root span and flush the buffer."""
        self._root.set_attribute("dataward.status", status)
        self._mark(self._root, error)
        self._root.end()
        _flush(_tracer_provider())

    def _mark(self, span: Any, error: BaseException | None) -> None:
        if error is not None:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(self._trace.StatusCode.ERROR)


def run_spans(contract: str, run_id: str) -> RunSpans | None:
    """Return the spans of a run; None where no collector is configured or OpenTelemetry is not installed."""
    if not asked_for() and "opentelemetry" not in sys.modules:  # an application that has a provider has imported it
        return None
    try:
        from opentelemetry import trace
    except ImportError:
        return None
    own = type(trace.get_tracer_provider()).__name__ != "ProxyTracerProvider"
    return RunSpans(contract, run_id) if own or asked_for() else None


def measure(result: RunResult) -> None:
    """Record a run's measurements as gauges, and send them.

    Raises:
        UsageError: OpenTelemetry is not installed.
    """
    provider = _meter_provider()
    meter = provider.get_meter("dataward")
    for found in measurements(result):
        unit = {"Seconds": "s", "Percent": "%"}.get(found.unit, "1")
        named = {f"dataward.{name.lower()}": value for name, value in found.dimensions}
        meter.create_gauge(f"dataward.{_snake(found.name)}", unit).set(found.value, named)
    _flush(provider)


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).strip("_")


def _flush(provider: Any) -> None:
    if hasattr(provider, "force_flush"):
        provider.force_flush(5_000)


@cache
def _resource() -> Any:
    from opentelemetry.sdk.resources import Resource

    return Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", "dataward")})


def _tracer_provider() -> Any:
    from opentelemetry import trace

    if type(trace.get_tracer_provider()).__name__ == "ProxyTracerProvider" and asked_for():
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        provider = TracerProvider(resource=_resource())
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(provider)
    return trace.get_tracer_provider()


def _meter_provider() -> Any:
    try:
        from opentelemetry import metrics
    except ImportError:
        raise UsageError(MISSING) from None
    if type(metrics.get_meter_provider()).__name__ == "_ProxyMeterProvider" and asked_for():
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

        reader = PeriodicExportingMetricReader(OTLPMetricExporter())
        metrics.set_meter_provider(MeterProvider([reader], resource=_resource()))
    return metrics.get_meter_provider()
