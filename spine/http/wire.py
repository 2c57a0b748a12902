"""HTTP/1.1 over kept connections, for requests and answers that are held whole.

What a trigger sends is small and its answer is hardly looked at, so a general client's objects cost
more than the exchange does. One write sends a request; the parser of the listening ports reads the
answer. Where to connect is checked as for everything that others choose: see `spine.http.egress`.
"""

import asyncio
import socket
import ssl
import zlib
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from typing_extensions import override

from spine.http.egress import check_address, guarded_socket
from spine.http.nearby import nearby
from spine.http.url import Url

IDLE = 15.0
"""Seconds for which a connection that nobody uses is kept."""
MOST_HEAD = 128 * 1024
"""Bytes of the head of an answer."""
_BREAKS = frozenset("\r\n\x00")
_PORTS = {"http": 80, "https": 443}
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class Answer(NamedTuple):
    """What came back."""

    status: int
    reason: str
    headers: dict[str, str]
    """By lower-case name; of several the first."""
    body: bytes
    """Its start."""


class Hangup(ConnectionError):
    """The other side closed before its answer was whole."""


def request_bytes(
    method: str, url: Url, headers: Sequence[tuple[str, str]], body: bytes, agent: str
) -> bytes:
    """Return a request as it is sent. Raises ValueError for a header that breaks lines."""
    lines, names = [], set()
    for name, value in headers:
        lines.append(f"{name}: {value}\r\n")
        names.add(name.lower())
        if not _BREAKS.isdisjoint(name) or not _BREAKS.isdisjoint(value):
            raise ValueError(f"header {name!r} holds a line break")
    if "host" not in names:
        default = url.port is None or url.port == _PORTS[url.scheme]
        lines.insert(0, f"Host: {url.host if default else url.authority}\r\n")
    if "user-agent" not in names:
        lines.append(f"User-Agent: {agent}\r\n")
    if body or method in _WITH_BODY:
        lines.append(f"Content-Length: {len(body)}\r\n")
    head = f"{method} {url.target} HTTP/1.1\r\n{''.join(lines)}\r\n"
    return head.encode(errors="surrogateescape") + body


class Wire(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        import httptools  # here: who only reads manifests loads no server and no client

        self._parser = httptools.HttpResponseParser(self)
        self._wrong = (httptools.HttpParserError, httptools.HttpParserUpgrade)
        self._parser.set_dangerous_leniencies(
            lenient_headers=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )
        self.usable = False
        """Whether another request may be sent."""
        self.idle_since = 0.0
        self._answer: asyncio.Future[Answer] | None = None

    async def ask(self, data: bytes, most: int) -> Answer:
        """Send a request; return its answer with at most about so many bytes of the body.

        Raises OSError, and ValueError for an answer that is not HTTP.
        """
        self._answer = asyncio.get_running_loop().create_future()
        self.usable, self._most, self._ends = False, most, False
        self._clear()
        self._transport.write(data)
        try:
            return await self._answer
        except asyncio.CancelledError:
            self._transport.abort()
            raise
        finally:
            self._answer = None

    def close(self) -> None:
        """Let go of the connection."""
        self.usable = False
        self._transport.abort()

    def _clear(self) -> None:
        self._reason, self._body = b"", b""
        self._headers: dict[str, str] = {}
        self._head = 0

    def _fail(self, exc: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc)
        self.usable = False
        self._transport.abort()

    def _finish(self) -> None:
        if self._answer is None or self._answer.done():
            return
        body = self._body
        if body and self._headers.get("content-encoding") in {"gzip", "deflate"}:
            with suppress(zlib.error):  # shown as it is
                body = zlib.decompressobj(47).decompress(body, self._most)
        reason = self._reason.decode(errors="replace")
        answer = Answer(self._parser.get_status_code(), reason, self._headers, body)
        self._answer.set_result(answer)

    # ------------------------------------------------------------------------ the connection

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # of a stream it is one
        self._transport = transport
        self.usable = True

    @override
    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            self.close()  # nobody asked
            return
        try:
            self._parser.feed_data(data)
        except self._wrong as exc:
            self._fail(ValueError(f"its answer is not HTTP/1.1: {exc}"))

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        if self._answer is None or self._answer.done():
            return
        if self._ends and exc is None:
            self._finish()
        else:
            self._answer.set_exception(exc or Hangup())

    # ------------------------------------------------------------------------ the parser

    def on_status(self, reason: bytes) -> None:
        """Take a part of the reason."""
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header line."""
        self._headers.setdefault(name.decode("latin-1").lower(), value.decode(errors="replace"))
        self._head += len(name) + len(value)
        if self._head > MOST_HEAD:
            self._fail(ValueError(f"the head of its answer is larger than {MOST_HEAD} bytes"))

    def on_headers_complete(self) -> None:
        """See whether the body says where it ends."""
        found = self._headers
        self._ends = "content-length" not in found and "transfer-encoding" not in found

    def on_body(self, body: bytes) -> None:
        """Take a part of the body, and no more than is wanted."""
        self._body = self._body + body if self._body else body
        if len(self._body) > self._most:
            self._finish()
            self.close()

    def on_message_complete(self) -> None:
        """Give the answer to who asked."""
        if self._parser.get_status_code() < 200:  # noqa: PLR2004 -- the answer proper follows
            self._clear()
            self._ends = False
            return
        self.usable = self._parser.should_keep_alive() and not self._transport.is_closing()
        self._finish()


class Pool:
    """Connections that are kept, by where they go."""

    def __init__(self, *, guarded: bool) -> None:
        self._guarded = guarded
        self._idle: dict[object, deque[Wire]] = {}
        self._wires: set[Wire] = set()
        self._loop = asyncio.get_running_loop()
        self._sweeping: asyncio.TimerHandle | None = None
        self._closed = False

    async def ask(self, url: Url, context: ssl.SSLContext | None, data: bytes, most: int) -> Answer:
        """Send a request over a kept connection, or a new one. Raises as `Wire.ask` does."""
        key = (url.scheme, url.host, url.port, context)
        wire = self._take(key) or await self._connect(url, context)
        try:
            answer = await wire.ask(data, most)
        finally:
            if wire.usable and not self._closed:
                wire.idle_since = self._loop.time()
                self._idle.setdefault(key, deque()).append(wire)
                if self._sweeping is None:
                    self._sweeping = self._loop.call_later(IDLE, self._sweep)
            else:
                self._wires.discard(wire)
                wire.close()
        return answer

    def close(self) -> None:
        """Let go of all connections, and of those that are on their way when they have come."""
        self._closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        for wire in self._wires:
            wire.close()
        self._wires.clear()

    def _take(self, key: object) -> Wire | None:
        idle = self._idle.get(key)
        while idle:
            wire = idle.pop()  # the one used last is the likeliest to live
            if wire.usable:
                return wire
            self._wires.discard(wire)
        return None

    def _sweep(self) -> None:
        """Close what has not been used for a while."""
        until = self._loop.time() - IDLE
        for key, idle in list(self._idle.items()):
            while idle and (not idle[0].usable or idle[0].idle_since <= until):
                wire = idle.popleft()
                self._wires.discard(wire)
                wire.close()
            if not idle:
                del self._idle[key]
        self._sweeping = self._loop.call_later(IDLE, self._sweep) if self._idle else None

    async def _connect(self, url: Url, context: ssl.SSLContext | None) -> Wire:
        from aiohappyeyeballs import start_connection

        host, port = url.host.strip("[]").replace("%25", "%"), url.origin[2]
        where = (self._guarded and nearby(host, port)) or (host, port)
        found = await self._loop.getaddrinfo(*where, type=socket.SOCK_STREAM)
        if self._guarded:
            for one in found:
                check_address(host, str(one[4][0]))
        sock = await start_connection(
            found,
            happy_eyeballs_delay=0.25,
            interleave=1,
            loop=self._loop,
            socket_factory=guarded_socket if self._guarded else None,
        )
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            _, wire = await self._loop.create_connection(
                Wire, sock=sock, ssl=context, server_hostname=host.rstrip(".") if context else None
            )
        except BaseException:
            sock.close()
            raise
        self._wires.add(wire)
        return wire
