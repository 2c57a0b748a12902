"""A listening port: sockets, TLS, and bounds on what a connection may do to us.

uvicorn's HTTP/1.1 connection (on httptools) is embedded in the running loop, without uvicorn's
server: sockets are bound here, so that a port in use is an error that says who has it; a slow
or endless head or body is cut; a certificate that changes is taken without a restart; and at
the end, requests under way are finished.
"""

import asyncio
import logging
import resource
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

import httptools
from typing_extensions import override

from spine.lazily import hollow, later

with later("logging.config"), hollow("uvicorn.supervisors", "ChangeReload", "Multiprocess"):
    from uvicorn.config import Config  # without what its own server has: reload, workers, log

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from eventsource.exchange import Exchange, Whole, parts
from eventsource.sockets import bind
from eventsource.tls import Certificate, Tls

log = logging.getLogger(__name__)

Application = Callable[[Any, Any, Any], Awaitable[None]]
"""An ASGI application."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a connection may take; all times in seconds."""

    head: float = 10.0
    """From the first byte of a request, or from the connection, to the end of its headers."""
    pause: float = 60.0
    """Between two parts of a body."""
    body: float = 600.0
    """For a whole body, so that one byte a minute is no way around `pause`."""
    idle: float = 75.0
    """Between two requests; longer than proxies keep theirs, so that they close first."""
    head_size: int = 65_536
    """Bytes of request line and headers."""
    connections: int = 4_096
    """That are open at a time, and no more than half of the files that the process may open. At
    the bound an idle one makes room; where none is idle, the new one is told to come back."""
    handshake: float = 10.0
    """For a TLS handshake."""
    drain: float = 20.0
    """For requests under way when the port is closed."""
    tick: float = 1.0
    """Between two looks at all connections."""
    reread: float = 10.0
    """Between two looks at the certificate."""


def _plain(status: str, text: str, more: str = "") -> bytes:
    return (
        f"HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\n{more}"
        f"content-length: {len(text)}\r\nconnection: close\r\n\r\n{text}"
    ).encode()


_TIMEOUT = _plain("408 Request Timeout", "the request did not arrive in time\n")
_NOT_HTTP = _plain("400 Bad Request", "this is not an HTTP/1.1 request\n")
_NO_TUNNEL = _plain("405 Method Not Allowed", "there are no tunnels here\n")
_LARGE_HEAD = _plain("431 Request Header Fields Too Large", "the headers are too large\n")
_CROWDED = _plain("503 Service Unavailable", "too many connections\n", "retry-after: 1\r\n")


_OFFER = frozenset({b"connection", b"upgrade", b"http2-settings"})
"""Headers in which a sender offers another protocol."""

BOUNDS = Bounds()
"""What every port of a process has."""


class Listener:
    """A port that is open, and its connections."""

    def __init__(
        self, application: Application, bounds: Bounds, whole: Whole | None = None
    ) -> None:
        self.bounds, self.whole = bounds, whole
        self.date = b""
        """The header that every answer bears."""
        self.state = ServerState()
        self.empty = asyncio.Event()
        self.closing = False
        """No more connections are served: some that were accepted may only show up now."""
        self._config = Config(
            application,
            interface="asgi3",
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
        )
        self._config.load()
        self._loop = asyncio.get_running_loop()
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        unlimited = files == resource.RLIM_INFINITY
        self._most = bounds.connections if unlimited else min(bounds.connections, files // 2)

    def connection(self) -> "Connection":
        """Return the protocol of a new connection."""
        return Connection(self._config, self, self._loop)

    def has_room(self) -> bool:
        """Return whether one more connection may stay, for which an idle one may have to go."""
        if len(self.state.connections) <= self._most:
            return True
        for connection in self.state.connections:
            if connection.idle:  # type: ignore[union-attr]  # ours are all of one class
                connection.shutdown()
                return True
        return False

    async def watch(self, certificate: Callable[[], None] | None) -> None:
        """Cut slow connections and look for a new certificate, until cancelled."""
        looked = self._loop.time()
        while True:
            date = formatdate(usegmt=True).encode()
            self.state.default_headers = [(b"date", date)]
            self.date = b"date: %b\r\n" % date
            await asyncio.sleep(self.bounds.tick)
            now = self._loop.time()
            for connection in list(self.state.connections):
                connection.cut_if_late(now)  # type: ignore[union-attr]  # ours are all of one class
            if certificate is not None and now - looked >= self.bounds.reread:
                looked = now
                certificate()

    async def drain(self) -> None:
        """Let requests under way finish, and close all connections."""
        self.closing = True
        for connection in list(self.state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(self.bounds.drain):
                while self.state.connections:
                    self.empty.clear()
                    await self.empty.wait()
        except TimeoutError:
            log.warning(
                "closing port with requests under way",
                extra={"requests": len(self.state.tasks)},
            )
        for connection in list(self.state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # connections learn of it, and their tasks need not answer
        tasks = list(self.state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


_SUCCESS = b"HTTP/1.1 200 "


class _Joined:
    """A transport that sends head and body of a success in one piece: half the system calls."""

    __slots__ = ("_head", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""

    def write(self, data: bytes) -> None:
        """Send, or keep a head whose body follows at once."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(_SUCCESS):
            self._head = data
            return
        self._transport.write(data)

    def flush(self) -> None:
        """Send a head that has no body."""
        if self._head:
            self._transport.write(self._head)
            self._head = b""

    def close(self) -> None:
        """Close once all is sent."""
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Return whether the other side or we have closed it."""
        return self._transport.is_closing()


class Connection(HttpToolsProtocol):
    """uvicorn's connection with bounds on the head's time and size and on the body's pace.

    A moment is noted for each part that arrives and looked at by `Listener.watch`: cheaper for
    each request than timers are.
    """

    def __init__(self, config: Config, listener: Listener, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(config, listener.state, {}, loop)
        self._listener = listener
        self._heard = self._began = loop.time()
        """When the last part of an incomplete request came, and when its first; 0: it is whole."""
        self._head = 0
        """Bytes of a head that is incomplete."""
        self._idle = 0.0
        """When the last answer was sent; 0: there was none, or the next request comes."""
        self._body: bytes | None = None
        """Body so far of a request that may come whole; None: there is none such."""
        self._may_be_whole = False

    @property
    def date(self) -> bytes:
        """The header line that says what time it is."""
        return self._listener.date

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if not self._listener.state.connections:
            self._listener.empty.set()

    @override
    def data_received(self, data: bytes) -> None:
        self._idle, self._may_be_whole = 0.0, len(data) <= self._listener.bounds.head_size
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as exc:
            self._pass_over_upgrade(data[exc.args[0] :])
        except httptools.HttpParserError:
            self._close(_NOT_HTTP)
            return
        if self._body is not None:
            self._in_parts()
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.scope is not self.scope:
            self._incomplete_head(len(data))
            return
        if cycle.more_body:
            self._heard = self.loop.time()
            if self._head or not self._began:
                self._began, self._head = self._heard, 0
        else:
            self._began = self._head = 0
        if len(data) > self._listener.bounds.head_size:
            self._weigh(cycle)

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._joined = _Joined(transport)
        if self._listener.closing:
            transport.abort()
        elif not self._listener.has_room():
            self._close(_CROWDED)

    @override
    def on_message_begin(self) -> None:
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self.scope = self._body = None  # type: ignore[assignment]  # made for what comes in parts

    @override
    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._body = b""
        cycle: RequestResponseCycle | None = self.cycle
        busy = cycle is not None and not cycle.response_complete
        whole = self._may_be_whole and self._listener.whole is not None
        if busy or not whole or self.expect_100_continue:
            self._in_parts()

    def _in_parts(self) -> None:
        """Begin with a request whose end is not there yet, or whose turn has not come."""
        url, headers, asks_first = self.url, self.headers, self.expect_100_continue
        body, self._body = self._body, None
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = url, headers, asks_first
        self.scope["headers"] = headers
        super().on_headers_complete()
        self.cycle.transport = self._joined  # type: ignore[assignment]  # all that a cycle uses
        if body:
            super().on_body(body)

    @override
    def on_body(self, body: bytes) -> None:
        if self._body is None:
            super().on_body(body)
        else:
            self._body = self._body + body if self._body else body

    @override
    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        if self._body is None:
            super().on_message_complete()
            return
        assert self._listener.whole is not None
        parser, body, self._body = self.parser, self._body, None
        path, query = parts(self.url)
        alive = parser.get_http_version() != "1.0" and parser.should_keep_alive()
        exchange = Exchange(self, parser.get_method().decode("ascii"), body, alive)
        self.scope = self.cycle = exchange  # type: ignore[assignment]  # all that uvicorn uses
        running = exchange.run(self._listener.whole, path, query, self.headers)
        exchange.task = self.loop.create_task(running)
        self.tasks.add(exchange.task)

    @override
    def on_response_complete(self) -> None:
        self._joined.flush()
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._idle = self.loop.time()

    def _pass_over_upgrade(self, rest: bytes) -> None:
        """Read a request again without its offer of another protocol.

        Java's client offers HTTP/2 with every first request. The parser takes the body of such a
        request for the other protocol, so it is given the head once more, without the offer.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":  # asks for a tunnel, which nothing can turn into a request
            self._close(_NO_TUNNEL)
            return
        lines = [b"%b: %b\r\n" % line for line in self.headers if line[0] not in _OFFER]
        self.parser = httptools.HttpRequestParser(self)
        head = b"%b %b HTTP/1.1\r\n%b\r\n" % (method, self.url, b"".join(lines))
        try:
            self.parser.feed_data(head + rest)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._close(_NOT_HTTP)

    def _incomplete_head(self, size: int) -> None:
        if not self._began:
            self._began = self.loop.time()
        self._head += size
        if self._head > self._listener.bounds.head_size:
            self._close(_LARGE_HEAD)

    def _weigh(self, cycle: RequestResponseCycle) -> None:
        """Check a head that came whole, in one large part."""
        size = len(self.url) + sum(len(n) + len(v) + 4 for n, v in self.headers)
        if size > self._listener.bounds.head_size:
            cycle.disconnected = True
            cycle.message_event.set()
            self._close(_LARGE_HEAD)

    @property
    def idle(self) -> bool:
        """Whether a request was answered and no other has begun."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and cycle.response_complete and not self._began

    def cut_if_late(self, now: float) -> None:
        """Close the connection if a request on it takes too long to arrive."""
        bounds = self._listener.bounds
        if self._idle and now - self._idle > bounds.idle:
            self._close(b"")
        if not self._began or self.pipeline:
            return
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.scope is not self.scope:
            late = now - self._began > bounds.head
            if late and (cycle is None or cycle.response_complete):
                self._close(b"" if self._head == 0 else _TIMEOUT)
        elif now - self._heard > bounds.pause or now - self._began > bounds.body:
            self._close(b"" if cycle.response_started else _TIMEOUT)

    def _close(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            if answer:
                self.transport.write(answer)
            self.transport.close()


# ---------------------------------------------------------------------------- opening


@asynccontextmanager
async def listen(
    host: str,
    port: int,
    application: Application,
    certificate: Certificate | None = None,
    bounds: Bounds | None = None,
    whole: Whole | None = None,
) -> AsyncIterator[Listener]:
    """Serve an application on a port until the block ends; then finish what is under way.

    `whole`, if given, answers the requests that come in one piece.

    Raises SourceError where the port is in use, ConfigError where it never can be had or the
    certificate cannot be read.
    """
    listener = Listener(application, bounds or Bounds(), whole)
    tls = Tls(certificate) if certificate else None
    loop = asyncio.get_running_loop()
    servers = []
    watch: asyncio.Task[None] | None = None
    sockets = bind(host, port)
    try:
        for sock in sockets:
            server = await loop.create_server(
                listener.connection,
                sock=sock,
                ssl=tls.context if tls else None,
                ssl_handshake_timeout=listener.bounds.handshake if tls else None,
                backlog=2048,
            )
            servers.append(server)
        watch = asyncio.create_task(
            listener.watch(tls.refresh if tls else None), name=f"port {port}"
        )
        yield listener
    finally:
        for sock in sockets:
            loop.remove_reader(sock)
        await asyncio.sleep(0)  # what was accepted joins its server, which fails on a closed one
        for server in servers:
            server.close()
        for sock in sockets:
            sock.close()
        await listener.drain()
        if watch is not None:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
