"""The status server of one process: metrics, health, readiness, and how its object stands."""

import asyncio
import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Self

from prometheus_client import CollectorRegistry, generate_latest
from typing_extensions import override

from spine.errors import ConfigError
from spine.standing import Standing, encode

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
    def server_bind(self) -> None:
        """Bind, and ask no name server what this machine is called: nothing here tells it."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "", self.server_address[1]

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
