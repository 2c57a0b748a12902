"""Metrics, logs and the status server of one process.

Metrics carry Argo Events' names, so existing dashboards and alerts go on working, and ours
beside them for what those cannot tell: what was filtered and why, what waits, what died.
Labels are bound once, when the process knows its events and triggers.
"""

import asyncio
import contextlib
import json
import logging
import math
import platform
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, ClassVar, Self

import orjson

from spine.lazily import later

with later("html"):  # a table of 0.7 MiB
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    Summary,
    disable_created_metrics,
    generate_latest,
)
from typing_extensions import override

from spine import __version__
from spine.errors import ConfigError
from spine.standing import Standing, encode

LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 300)
"""Seconds; from a loopback hop to a target that is slow or comes back after a while."""

# ---------------------------------------------------------------------------- metrics

disable_created_metrics()  # type: ignore[no-untyped-call]  # the peer has none, and they double the series


def registry() -> CollectorRegistry:
    """Return a registry with what every process shows."""
    metrics = CollectorRegistry()
    ProcessCollector(registry=metrics)
    build = Gauge(
        "build_info", "Version of this process.", ("version", "pythonversion"), registry=metrics
    )
    build.labels(__version__, platform.python_version()).set(1)
    return metrics


class _Bound:
    """A metric with namespace and object filled in; the last label is bound at first use."""

    def __init__(self, metric: Any, *fixed: str) -> None:
        self._metric, self._fixed = metric, fixed
        self._children: dict[tuple[str, ...], Any] = {}

    def __getitem__(self, label: str | tuple[str, ...]) -> Any:
        rest = label if isinstance(label, tuple) else (label,)
        child = self._children.get(rest)
        if child is None:
            child = self._children[rest] = self._metric.labels(*self._fixed, *rest)
        return child


class SourceMetrics:
    """What an EventSource process counts."""

    def __init__(self, namespace: str, source: str, events: Iterable[str]) -> None:
        self.registry = metrics = registry()
        of_event = ("namespace", "eventsource_name", "event_name")

        def counter(name: str, text: str, labels: tuple[str, ...] = of_event) -> _Bound:
            return _Bound(Counter(name, text, labels, registry=metrics), namespace, source)

        self._running = Gauge(
            "argo_events_event_service_running_total",
            "Events that are being listened to.",
            of_event[:2],
            registry=metrics,
        ).labels(namespace, source)
        self._sent = counter("argo_events_events_sent_total", "Events the bus has stored.")
        self._send_failed = counter(
            "argo_events_events_sent_failed_total", "Events the bus did not take."
        )
        self._processing_failed = counter(
            "argo_events_events_processing_failed_total",
            "Events that were not published, for whatever reason.",
        )
        self._rejected = counter(
            "tocsin_events_rejected_total",
            "Requests that were refused, by HTTP status.",
            (*of_event, "status"),
        )
        self._filtered = counter(
            "tocsin_source_events_filtered_total",
            "Events that the filter of the event source did not let pass: false or MissingValue.",
            (*of_event, "reason"),
        )
        self._duration = _Bound(
            Summary(
                "argo_events_event_processing_duration_milliseconds",
                "From receipt until the bus has stored the event.",
                of_event,
                registry=metrics,
            ),
            namespace,
            source,
        )
        self.dead: dict[str, int] = {}
        """What was set aside for good, by reason."""
        self._dead = counter(
            "tocsin_dead_letters_total",
            "What was set aside for good.",
            ("namespace", "eventsource_name", "reason"),
        )
        self._evicted = Gauge(
            "tocsin_events_evicted",
            "Events that went from the bus before all sensors had read them, about.",
            of_event[:2],
            registry=metrics,
        ).labels(namespace, source)
        for event in events:
            _ = self._sent[event], self._send_failed[event], self._processing_failed[event]

    def running(self, event: str, up: bool) -> None:  # noqa: ARG002 -- the peer's gauge has no event
        """Count a listener that began or ended."""
        self._running.inc(1 if up else -1)

    def evicted_as(self, count: Callable[[], float]) -> None:
        """Show what a function says of events that were evicted unread."""
        self._evicted.set_function(count)

    def sent(self, event: str, seconds: float) -> None:
        """Count a stored event and the time it took."""
        self._sent[event].inc()
        self._duration[event].observe(seconds * 1000)

    def send_failed(self, event: str) -> None:
        """Count an event that the bus did not take."""
        self._send_failed[event].inc()
        self._processing_failed[event].inc()

    def processing_failed(self, event: str) -> None:
        """Count an event that failed before it came to the bus."""
        self._processing_failed[event].inc()

    def filtered(self, event: str, reason: str) -> None:
        """Count an event that the filter did not let pass."""
        self._filtered[event, reason].inc()

    def dead_letter(self, reason: str) -> None:
        """Count what was set aside for good."""
        self._dead[reason].inc()
        self.dead[reason] = self.dead.get(reason, 0) + 1

    def rejected(self, event: str, status: int) -> None:
        """Count a refused request."""
        self._rejected[event, str(status)].inc()


class SensorMetrics:
    """What a Sensor process counts."""

    def __init__(self, namespace: str, sensor: str, triggers: Iterable[str]) -> None:
        self.registry = metrics = registry()
        self.fired: dict[str, float] = {}
        """When a trigger last acted, in unix seconds."""
        self.failing: dict[str, str] = {}
        """Why the last attempt of a trigger failed; without those that succeeded since."""
        self.dead: dict[str, int] = {}
        """What was set aside for good, by reason."""
        of_sensor = ("namespace", "sensor_name")
        of_trigger = (*of_sensor, "trigger_name")

        def counter(name: str, text: str, labels: tuple[str, ...] = of_trigger) -> _Bound:
            return _Bound(Counter(name, text, labels, registry=metrics), namespace, sensor)

        self._triggered = counter(
            "argo_events_action_triggered_total", "Actions that were done successfully."
        )
        self._failed = counter("argo_events_action_failed_total", "Attempts that failed.")
        self._gave_up = counter(
            "argo_events_action_retries_failed_total", "Actions given up after their last attempt."
        )
        self._duration = _Bound(
            Summary(
                "argo_events_action_duration_milliseconds",
                "Duration of each attempt.",
                of_trigger,
                registry=metrics,
            ),
            namespace,
            sensor,
        )
        self._retried = counter("tocsin_action_retries_total", "Attempts after the first.")
        self._stored = counter(
            "tocsin_actions_stored_total", "Actions put aside on the bus for later."
        )
        self._duplicate = counter(
            "tocsin_actions_duplicate_total",
            "Actions not done, as one with the same idempotency key was.",
        )
        self._latency = _Bound(
            Histogram(
                "tocsin_event_to_action_seconds",
                "From the time of the event until its action was done.",
                of_trigger,
                registry=metrics,
                buckets=LATENCY_BUCKETS,
            ),
            namespace,
            sensor,
        )
        self._in_flight = _Bound(
            Gauge(
                "tocsin_actions_in_flight",
                "Attempts that are under way.",
                of_trigger,
                registry=metrics,
            ),
            namespace,
            sensor,
        )
        self._received = Counter(
            "tocsin_events_received_total",
            "Events taken from the bus.",
            of_sensor,
            registry=metrics,
        ).labels(namespace, sensor)
        self._filtered = counter(
            "tocsin_events_filtered_total",
            "Events that a dependency did not let pass.",
            (*of_sensor, "dependency_name", "reason"),
        )
        self._skipped = counter(
            "tocsin_triggers_skipped_total",
            "Firings that were not acted on, as the trigger's if says.",
            (*of_sensor, "trigger_name"),
        )
        self._dead = counter(
            "tocsin_dead_letters_total", "What was set aside for good.", (*of_sensor, "reason")
        )
        self._lag = Gauge(
            "tocsin_events_waiting",
            "Events on the bus that this sensor has not taken yet.",
            of_sensor,
            registry=metrics,
        ).labels(namespace, sensor)
        for trigger in triggers:
            _ = self._triggered[trigger], self._failed[trigger], self._gave_up[trigger]

    def received(self, n: int = 1) -> None:
        """Count events taken from the bus."""
        self._received.inc(n)

    def filtered(self, dependency: str, reason: str) -> None:
        """Count an event that a dependency did not let pass."""
        self._filtered[dependency, reason].inc()

    def skipped(self, trigger: str) -> None:
        """Count a firing that was not acted on because of `if`."""
        self._skipped[trigger].inc()

    def triggered(self, trigger: str, seconds: float, latency: float = math.nan) -> None:
        """Count a successful attempt: its duration, and the time since the event."""
        self._triggered[trigger].inc()
        self.fired[trigger] = time.time()
        if self.failing:
            self.failing.pop(trigger, None)
        self._duration[trigger].observe(seconds * 1000)
        if not math.isnan(latency):
            self._latency[trigger].observe(latency)

    def attempt_failed(self, trigger: str, seconds: float, why: str = "") -> None:
        """Count a failed attempt and its duration."""
        self._failed[trigger].inc()
        self.failing[trigger] = why
        self._duration[trigger].observe(seconds * 1000)

    def gave_up(self, trigger: str) -> None:
        """Count an action whose last attempt failed."""
        self._gave_up[trigger].inc()

    def retried(self, trigger: str) -> None:
        """Count an attempt that is not the first."""
        self._retried[trigger].inc()

    def stored(self, trigger: str) -> None:
        """Count an action put into the pending-action stream."""
        self._stored[trigger].inc()

    def duplicate(self, trigger: str) -> None:
        """Count an action that is not done, because one with the same idempotency key was."""
        self._duplicate[trigger].inc()

    def dead_letter(self, reason: str) -> None:
        """Count what was set aside for good."""
        self._dead[reason].inc()
        self.dead[reason] = self.dead.get(reason, 0) + 1

    def in_flight(self, trigger: str, delta: int) -> None:
        """Add to the attempts that are under way."""
        self._in_flight[trigger].inc(delta)

    def lag(self, value: int) -> None:
        """Set how many events wait on the bus."""
        self._lag.set(value)


# ---------------------------------------------------------------------------- logs

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_LEVELS = {"warning": "warn", "critical": "fatal"}


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {k: v for k, v in vars(record).items() if k not in _PLAIN}


class JsonLines(logging.Formatter):
    """One JSON object a line, with the keys of Argo Events' logs."""

    def __init__(self, context: Mapping[str, str]) -> None:
        super().__init__()
        self._context = dict(context)

    @override
    def format(self, record: logging.LogRecord) -> str:
        level = record.levelname.lower()
        line: dict[str, Any] = {
            "level": _LEVELS.get(level, level),
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
            "logger": f"tocsin.{record.name}",
            "msg": record.getMessage(),
            **self._context,
            **_extra(record),
        }
        if record.exc_info:
            line["stacktrace"] = self.formatException(record.exc_info)
        try:
            return orjson.dumps(line, default=str).decode()
        except (TypeError, ValueError):  # a lone surrogate or an integer of more than 64 bits
            return json.dumps(line, default=str)


class TextLines(logging.Formatter):
    """Time, level, message and fields, for a person at a terminal."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        clock = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S.%f")[:-3]
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        fields = "".join(f"  {k}={_field(v)}" for k, v in _extra(record).items())
        text = f"{clock} {level}{record.getMessage()}{fields}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def _field(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(str(v) for v in value)
    return str(value)


LEVELS = ("debug", "info", "warn", "error")


def configure_logging(fmt: str, level: str = "info", **context: str) -> None:
    """Send all logs to stdout as `text` or `json`; `context` stands in every JSON line.

    An unknown level is taken as info, as Argo Events does.
    """
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines(context) if fmt == "json" else TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel({"warn": "WARNING"}.get(level, level.upper()) if level in LEVELS else "INFO")
    for chatty in ("nats", "asyncio", "uvicorn", "aiohttp", "watchfiles"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


# ---------------------------------------------------------------------------- status server

Check = Callable[[], str]
"""Returns why something is not ready, or an empty text."""

STUCK = 30.0
"""Seconds without a turn of the event loop after which a process is not healthy."""


CONNECTIONS = 64
"""Connections of the status server; of more, the oldest is closed."""


class _Server(ThreadingHTTPServer):
    """A thread for each connection, and a bound: whoever keeps many open keeps out nobody."""

    daemon_threads = True
    request_queue_size = CONNECTIONS

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._open: dict[Any, None] = {}
        super().__init__(address, handler)

    @override
    def process_request(self, request: Any, client_address: Any) -> None:
        self._open[request] = None
        if len(self._open) > CONNECTIONS:
            oldest = next(iter(self._open.copy()))
            self._open.pop(oldest, None)
            with contextlib.suppress(OSError):
                oldest.shutdown(socket.SHUT_RDWR)
        super().process_request(request, client_address)

    @override
    def shutdown_request(self, request: Any) -> None:
        self._open.pop(request, None)
        super().shutdown_request(request)

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent: a connection that broke is the affair of its other end."""


class StatusServer:
    """Serves `/metrics`, `/healthz`, `/readyz` and `/status` from a thread of its own.

    A thread, so that a blocked event loop can be reported by the process that has it.
    """

    def __init__(
        self,
        host: str,
        port: int,
        metrics: CollectorRegistry,
        checks: Mapping[str, Check],
        standing: Callable[[], Standing] | None = None,
    ) -> None:
        """`standing` is what `/status` tells; without it there is no such path."""
        self._address = (host, port)
        self._metrics, self._checks, self._standing = metrics, dict(checks), standing
        self._beat = time.monotonic()
        self.port = port

    async def __aenter__(self) -> Self:
        try:
            server = _Server(self._address, self._handler())
        except OSError as exc:
            host, port = self._address
            raise ConfigError(
                f"listening on {host}:{port} for metrics and health: {exc.strerror}",
                hint="choose another port with --metrics-port, or 0 for a free one",
            ) from exc
        self._server, self.port = server, server.server_address[1]
        self._thread = threading.Thread(target=server.serve_forever, name="status", daemon=True)
        self._thread.start()
        self._beating = asyncio.create_task(self._keep_beating(), name="status heartbeat")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._beating.cancel()
        await asyncio.gather(self._beating, return_exceptions=True)
        await asyncio.to_thread(self._server.shutdown)
        self._server.server_close()
        self._thread.join()

    async def _keep_beating(self) -> None:
        while True:
            self._beat = time.monotonic()
            await asyncio.sleep(1)

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Return status, content type and body for a path."""
        if path == "/metrics":
            return 200, "text/plain; version=0.0.4; charset=utf-8", generate_latest(self._metrics)
        if path == "/healthz":
            still = time.monotonic() - self._beat
            stuck = still > STUCK
            text = f"the event loop has not turned for {still:.0f} s\n" if stuck else "ok\n"
            return (503 if stuck else 200), "text/plain; charset=utf-8", text.encode()
        if path == "/readyz":
            found = {name: check() for name, check in self._checks.items()}
            lines = [f"{name}: {why or 'ok'}\n" for name, why in found.items()]
            ready = not any(found.values())
            return (200 if ready else 503), "text/plain; charset=utf-8", "".join(lines).encode()
        if path == "/status" and self._standing is not None:
            return 200, "application/json", encode(self._standing())
        return 404, "text/plain; charset=utf-8", b"try /metrics, /healthz or /readyz\n"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answer = self.answer

        class Handler(BaseHTTPRequestHandler):
            timeout: ClassVar[float | None] = (
                10  # a connection that says nothing does not keep its thread
            )

            def do_GET(self) -> None:
                status, kind, body = answer(self.path.partition("?")[0])
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            @override
            def log_message(self, format: str, *args: Any) -> None:
                """Stay silent: probes come every few seconds."""

        return Handler
