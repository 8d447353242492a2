"""Spans for OpenTelemetry: one for each request, and one for each group that was decided and committed together.

Where to send them is said by OpenTelemetry's own environment, such as `OTEL_EXPORTER_OTLP_ENDPOINT`; without it there are none. A
span has the address, the status and the number of the decision, and never what persons have typed.
"""

from __future__ import annotations

import logging
import os
import time as clock
from collections.abc import Mapping
from typing import Any

log = logging.getLogger("roe.serve")
WANTED = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Tracing:
    """Makes spans with a tracer, or none without one."""

    def __init__(self, provider: Any = None) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("roe.serve") if provider is not None else None

    @property
    def is_on(self) -> bool:
        return self._tracer is not None

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> Tracing:
        if not any(environment.get(name) for name in WANTED):
            return cls()
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError:
            log.warning("OpenTelemetry is configured, but its packages are missing: pip install 'roe-policy[otel]'")
            return cls()
        name = environment.get("OTEL_SERVICE_NAME") or "roe"
        provider = TracerProvider(resource=Resource.create({"service.name": name}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return cls(provider)

    def begin(self, method: str, headers: Mapping[str, str]) -> Any:
        """A span of a request, within the one that its sender names in `traceparent`; None where nobody asks for spans."""
        if self._tracer is None:
            return None
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        context = TraceContextTextMapPropagator().extract({k: headers[k] for k in ("traceparent", "tracestate") if k in headers})
        return self._tracer.start_span(method, context, SpanKind.SERVER)

    def end(self, span: Any, method: str, route: str, status: int, decision: Any) -> None:
        """The request was answered."""
        if span is None:
            return
        from opentelemetry.trace import StatusCode

        span.update_name(f"{method} {route}")
        span.set_attributes({"http.request.method": method, "http.route": route, "http.response.status_code": status})
        if decision is not None:
            span.set_attribute("roe.decision", decision)
        if status >= 500:
            span.set_status(StatusCode.ERROR)
        span.end()

    def group(self, seconds: float, requests: int, fired: int, entries: int) -> None:
        """Some requests were decided and committed together."""
        if self._tracer is not None:
            now = clock.time_ns()
            values = {"roe.requests": requests, "roe.timers": fired, "roe.entries": entries}
            self._tracer.start_span("commit", attributes=values, start_time=now - int(seconds * 1e9)).end(now)

    def close(self) -> None:
        if self._provider is not None:
            self._provider.shutdown()
