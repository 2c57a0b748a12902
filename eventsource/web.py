"""HTTP for sources: one server for each port, shared by all events of the process.

A source says where it listens and gives a function from Request to Answer; everything before
that function (path, credentials, method, size, slowness) and every error that it raises is
answered here, with the same words for all sources. Paths are matched exactly, `{name}` standing
for one segment.
"""

import asyncio
import hmac
import logging
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from eventsource.answers import (
    BAD_LENGTH,
    BROKEN,
    BUSY,
    HEALTHY,
    NO_BEARER,
    NO_TOKEN,
    NOT_FOUND,
    STARTING,
    WRONG_TOKEN,
    Answer,
)
from eventsource.exchange import Lines
from eventsource.paths import Pattern, pattern
from spine.errors import BusError, ConfigError, EventError, Fault
from spine.runtime import Env
from spine.secrets import SecretRef

if TYPE_CHECKING:
    from eventsource.tls import Certificate

log = logging.getLogger(__name__)

MAX_PAYLOAD = 1_048_576
"""Bytes of a body where nothing else is configured, as in Argo Events."""
MAX_WAITING = 1_024
"""Requests of a port that are read or worked on at a time; more are told to come back."""
MAX_HELD = 128 * 1024 * 1024
"""Bytes of their bodies; one that is larger is read where there is no other."""
LEFTOVER = 262_144
"""Bytes of an unwanted body that are read so that the sender gets to see the answer."""
LINGER = 5.0
"""Seconds for which an unwanted body is read."""
TOKEN_AGE = 1.0
"""Seconds after which a bearer token is read again."""


class Request(msgspec.Struct, eq=False):
    """A whole request."""

    lines: list[tuple[bytes, bytes]]
    """Header lines, names in lower case."""
    fields: dict[bytes, bytes]
    """The last value of each header."""
    query: bytes
    body: bytes


Handler = Callable[[Request], Awaitable[Answer]]
"""Answers a request. BusError becomes 503, EventError 413."""
Admit = Callable[[Mapping[bytes, bytes]], Awaitable[Answer | None]]
"""Looks at the headers of a request before its body is read; an answer refuses it."""


@dataclass(slots=True)
class Route:
    """Where requests for one event come in."""

    event: str
    endpoint: str
    method: str
    handler: Handler
    max_payload: int = MAX_PAYLOAD
    token: Callable[[], str] | None = None
    """Reads the bearer token that must be presented. Raises ConfigError."""
    admit: Admit | None = None
    rejected: Callable[[int], None] = field(default=lambda _: None)
    open: bool = True
    wrong_method: Answer = field(init=False)
    too_large: Answer = field(init=False)

    def __post_init__(self) -> None:
        self.wrong_method = Answer(
            405, f"this endpoint takes {self.method} only\n", allow=self.method
        )
        self.too_large = Answer(413, f"the body is larger than {self.max_payload} bytes\n")


class Port:
    """The ASGI application of a port: its routes."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.waiting = self.held = 0
        self._exact: dict[str, Route] = {}
        self._patterns: dict[str, tuple[Pattern, Route]] = {}

    def add(self, route: Route) -> None:
        """Open a route. Raises ConfigError where its path is taken."""
        there = self._exact.get(route.endpoint)
        if there is None and route.endpoint in self._patterns:
            there = self._patterns[route.endpoint][1]
        if there is not None and there.open:
            raise ConfigError(
                f"serving {route.endpoint!r} on port {self.number} for event {route.event!r}:"
                f" event {there.event!r} is served there",
                hint="give one of them another endpoint or port",
            )
        if "{" in route.endpoint:
            self._patterns[route.endpoint] = (pattern(route.endpoint), route)
        else:
            self._exact[route.endpoint] = route

    def _find(self, path: str) -> Route | None:
        for compiled, route in self._patterns.values():
            if compiled.fullmatch(path):
                return route
        return None

    async def answer(
        self, method: str, path: str, query: bytes, lines: Lines, body: bytes
    ) -> Answer:
        """Answer a request that came whole."""
        route = self._exact.get(path) or self._find(path)
        if route is None:
            return HEALTHY if path == "/health" else NOT_FOUND
        fields = dict(lines)
        answer = self._unwanted(route, method, fields)
        if answer is None and route.admit is not None:
            answer = await route.admit(fields)
        if answer is None:
            self.waiting += 1
            try:
                answer = await self._handled(route, Request(lines, fields, query, body))
            finally:
                self.waiting -= 1
        if answer.status >= 400:  # noqa: PLR2004 -- HTTP's own line
            route.rejected(answer.status)
        return answer

    async def _handled(self, route: Route, request: Request) -> Answer:
        size = len(request.body)
        if size > route.max_payload:
            return route.too_large
        self.held += size
        try:
            return BUSY if self._full(size) else await route.handler(request)
        except asyncio.CancelledError:  # the port is closed, and waits no longer
            return STARTING
        except Exception as exc:  # noqa: BLE001 -- whatever it is, the sender is told
            return _answer_to(exc, route)
        finally:
            self.held -= size

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        path = scope["path"]
        route = self._exact.get(path) or self._find(path)
        if route is None:
            answer = HEALTHY if path == "/health" else NOT_FOUND
            await _refuse(scope, receive, send, answer)
            return
        lines = scope["headers"]
        fields = dict(lines)
        refusal = await self._refusal(route, scope["method"], fields)
        if refusal is not None:
            route.rejected(refusal.status)
            await _refuse(scope, receive, send, refusal)
            return
        self.waiting += 1
        try:
            message = await receive()
            if message.get("more_body", True):
                message = await self._rest(message, receive, route.max_payload)
                if message["type"] != "http.request":
                    return  # the sender went away
            request = Request(lines, fields, scope["query_string"], message["body"])
            answer = await self._handled(route, request)
        finally:
            self.waiting -= 1
        if answer.status >= 400:  # noqa: PLR2004 -- HTTP's own line
            route.rejected(answer.status)
            if message["more_body"]:
                await _refuse(scope, receive, send, answer)
                return
        await send(answer.start)
        await send(answer.body)

    def _full(self, own: int) -> bool:
        """Return whether bodies take too much, of which so many bytes are one's own."""
        return self.held > MAX_HELD and self.held > own

    async def _rest(self, message: Any, receive: Any, limit: int) -> Any:
        """Read on until the body is whole or too much; return all of it as one message."""
        parts = bytearray()
        try:
            while message["type"] == "http.request":
                parts += message["body"]
                self.held += len(message["body"])
                if not message["more_body"] or len(parts) > limit or self._full(len(parts)):
                    return {**message, "body": bytes(parts)}
                message = await receive()
            return message
        finally:
            self.held -= len(parts)  # its caller counts what is returned

    async def _refusal(
        self, route: Route, method: str, fields: dict[bytes, bytes]
    ) -> Answer | None:
        """Return the answer to what need not be read."""
        refusal = self._unwanted(route, method, fields)
        if refusal is None and route.admit is not None:
            return await route.admit(fields)
        return refusal

    def _unwanted(self, route: Route, method: str, fields: dict[bytes, bytes]) -> Answer | None:
        if not route.open:
            return STARTING
        if route.token is not None and (wrong := _unauthorised(route, fields)):
            return wrong
        if method != route.method:
            return route.wrong_method
        if (length := fields.get(b"content-length")) is not None:
            try:
                if int(length) > route.max_payload:
                    return route.too_large
            except ValueError:
                return BAD_LENGTH
        return BUSY if self.waiting >= MAX_WAITING else None


async def _refuse(scope: Any, receive: Any, send: Any, answer: Answer) -> None:
    """Answer without wanting the body.

    The answer goes out first. Then what the sender is still sending is read and thrown away for
    a while: closing at once would reset the connection, and the sender would not see why.
    """
    fields = dict(scope["headers"])
    length = fields.get(b"content-length", b"0")
    unknown = b"transfer-encoding" in fields or not length.isdigit()
    asks_first = fields.get(b"expect", b"").lower() == b"100-continue"
    if asks_first or unknown or int(length) > LEFTOVER:
        await send(answer.closing)
    else:
        await send(answer.start)
    await send({**answer.body, "more_body": True})
    if not asks_first:
        await _discard(receive)
    await send({"type": "http.response.body", "body": b""})


async def _discard(receive: Any) -> None:
    left = LEFTOVER * 64
    try:
        async with asyncio.timeout(LINGER):
            message = await receive()
            while message.get("more_body") and left > 0:
                left -= len(message["body"])
                message = await receive()
    except TimeoutError:
        pass


def _unauthorised(route: Route, fields: dict[bytes, bytes]) -> Answer | None:
    assert route.token is not None
    try:
        wanted = route.token()
    except Fault as exc:
        log.error("reading the auth token", extra={"eventName": route.event, "error": str(exc)})  # noqa: TRY400 -- the text says it all
        return NO_TOKEN
    given = fields.get(b"authorization", b"")
    if not given.startswith(b"Bearer "):
        return NO_BEARER
    return None if hmac.compare_digest(given[7:], wanted.encode()) else WRONG_TOKEN


def _answer_to(exc: Exception, route: Route) -> Answer:
    """Return the answer to an error of a handler, and log it."""
    extra = {"eventName": route.event, "error": str(exc)}
    if isinstance(exc, BusError):
        seconds = max(1, math.ceil(exc.retry_after or 1))
        return Answer(503, "the event bus does not take events now\n", retry_after=str(seconds))
    if isinstance(exc, EventError):
        return Answer(413, f"{exc}\n")
    log.error("answering a request", exc_info=exc, extra=extra)
    return BROKEN


# ---------------------------------------------------------------------------- serving


@asynccontextmanager
async def serve(
    env: Env, port: int, route: Route, certificate: "Certificate | None" = None
) -> AsyncIterator[None]:
    """Serve a route while the block lasts; its port stays open until the process ends.

    Raises SourceError where the port is in use, ConfigError where it or the path cannot be had.
    """
    from eventsource import listener

    number = port + env.port_offset
    if not 0 < number < 65_536:  # noqa: PLR2004 -- the largest port
        raise ConfigError(
            f"listening on port {port} plus offset {env.port_offset}: there is no port {number}",
            hint="give a smaller --port-offset",
        )

    @asynccontextmanager
    async def opening() -> AsyncIterator[Port]:
        application = Port(number)
        async with listener.listen(
            env.host, number, application, certificate, listener.BOUNDS, application.answer
        ):
            yield application

    open_port = await env.shared.get(("port", number), opening)
    open_port.add(route)
    try:
        yield
    finally:
        route.open = False


def bearer(env: Env, ref: SecretRef) -> Callable[[], str]:
    """Return a reader of a token that looks at its Secret again after a while.

    Raises ConfigError where it cannot be read now.
    """
    value, until = env.secrets.secret(ref), time.monotonic() + TOKEN_AGE

    def read() -> str:
        nonlocal value, until
        if time.monotonic() >= until:
            value, until = env.secrets.secret(ref), time.monotonic() + TOKEN_AGE
        return value

    return read
